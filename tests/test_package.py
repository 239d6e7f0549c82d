"""What only a fresh process or an empty environment can show: import time, versions, wheels."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from common import copy_tree, settings  # noqa: E402


def python(code: str, folder: Path, path: str) -> str:
    """What a fresh Python prints, started in `folder`, with modules from `path`."""
    env = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_is_quick(tmp_path: Path) -> None:
    """Best of three fresh processes, so that a busy machine does not decide."""
    code = (
        "import sys, time; start = time.perf_counter(); import hybrid_iv; "
        "print(time.perf_counter() - start); "
        "loaded = {'torch', 'lightning', 'xarray', 'matplotlib'} & set(sys.modules); "
        "assert not loaded, loaded"
    )
    assert min(float(python(code, tmp_path, str(ROOT))) for _ in range(3)) < 1.0


def test_every_public_name_loads(tmp_path: Path) -> None:
    """`dir` lists the lazy names, each loads, and a wrong one is refused as usual."""
    code = (
        "import hybrid_iv as h\n"
        "assert set(h.__all__) <= set(dir(h))\n"
        "for name in h.__all__: getattr(h, name)\n"
        "try: h.no_such_name\n"
        "except AttributeError as error: print(error)"
    )
    assert "no_such_name" in python(code, tmp_path, str(ROOT))


def test_type_checkers_know_the_public_names(tmp_path: Path) -> None:
    """mypy finds a public name, and no other; each stands once, and is what the stub says."""
    stub = ROOT / "hybrid_iv" / "__init__.pyi"
    lines = stub.read_text(encoding="utf-8").splitlines()
    names = [line.split()[-1] for line in lines if line.startswith("from ")]
    assert len(names) == len(set(names)) > 30
    probe = tmp_path / "probe.py"
    probe.write_text("import hybrid_iv\nhybrid_iv.Grid\nhybrid_iv.no_such_name\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--follow-imports=skip", "--cache-dir", str(tmp_path)]
    command += [str(probe), str(stub)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    errors = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(errors) == 1 and 'no attribute "no_such_name"' in errors[0], done.stdout


def test_version_is_that_of_the_settings(tmp_path: Path) -> None:
    """The version stands in settings.ini, the package and the citation file."""
    version = settings(ROOT)["version"]
    assert python("import hybrid_iv; print(hybrid_iv.__version__)", tmp_path, str(ROOT)) == version
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A wheel from the checkout, and a wheel made from its sdist; both without the network."""
    folder = tmp_path_factory.mktemp("built")
    copy_tree(ROOT, folder / "checkout")
    build = [sys.executable, "-m", "build", "--no-isolation"]
    # Without a kind, the wheel is made from the sdist.
    for name, kinds in (("direct", ["--wheel"]), ("through_sdist", [])):
        command = [*build, *kinds, "--outdir", str(folder / name), str(folder / "checkout")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {name: next((folder / name).glob("*.whl")) for name in ("direct", "through_sdist")}


@pytest.mark.parametrize("kind", ["direct", "through_sdist"])
def test_wheel_installs_and_imports(kind: str, built: dict[str, Path], tmp_path: Path) -> None:
    """The installed package is the one imported, with its version and type marker."""
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    install += ["--target", str(target), str(built[kind])]
    subprocess.run(install, check=True, capture_output=True)
    code = (
        "import hybrid_iv, pathlib, sys; here = pathlib.Path(hybrid_iv.__file__).parent; "
        "assert (here / 'py.typed').exists() and (here / '__init__.pyi').exists(); "
        "assert (here / 'pretrained' / 'hybrid.safetensors').exists(); "
        "hybrid_iv.toy_panel(dates=5); print(here, hybrid_iv.__version__)"
    )
    wanted = f"{target / 'hybrid_iv'} {settings(ROOT)['version']}"
    assert python(code, tmp_path, str(target)) == wanted


@pytest.mark.parametrize("kind", ["direct", "through_sdist"])
def test_wheel_metadata_comes_from_the_settings(kind: str, built: dict[str, Path]) -> None:
    """Name, version, requirements, extras; every module is in it, and nothing but the package."""
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    wanted = config["DEFAULT"]
    with zipfile.ZipFile(built[kind]) as wheel:
        names = wheel.namelist()
        place = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(wheel.read(place).decode())
    shown = (metadata["Name"], metadata["Version"], metadata["Summary"])
    assert shown == tuple(wanted[key] for key in ("lib_name", "version", "description"))
    needs = metadata.get_all("Requires-Dist") or []
    assert sum("extra ==" not in need for need in needs) == len(wanted["requirements"].split())
    dask, dev = (len(wanted[f"{extra}_requirements"].split()) for extra in ("dask", "dev"))
    assert sum('extra == "dask"' in need for need in needs) == dask
    # The tests try a cluster too.
    assert sum('extra == "dev"' in need for need in needs) == dev + dask
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hybrid_iv").rglob("*.py")}
    assert modules <= set(names) and "hybrid_iv/market/prior.py" in modules  # folders too
    assert {name.split("/")[0].split("-")[0] for name in names} == {"hybrid_iv"}
