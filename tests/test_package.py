"""What only a fresh process or an empty environment can show: import time, versions, and that the built packages work."""

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
    """What a fresh Python prints, started in `folder` with `path` as its only addition to the module search."""
    env = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=True).stdout.strip()


def test_import_is_quick(tmp_path: Path) -> None:
    """Best of three fresh processes, so that a busy machine does not decide."""
    code = (
        "import sys, time; start = time.perf_counter(); import hybrid_iv; print(time.perf_counter() - start); "
        "loaded = {'torch', 'lightning', 'xarray', 'matplotlib'} & set(sys.modules); assert not loaded, loaded"
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
    for name, kinds in (("direct", ["--wheel"]), ("through_sdist", [])):  # without a kind, the wheel is made from the sdist
        done = subprocess.run([*build, *kinds, "--outdir", str(folder / name), str(folder / "checkout")], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {name: next((folder / name).glob("*.whl")) for name in ("direct", "through_sdist")}


@pytest.mark.parametrize("kind", ["direct", "through_sdist"])
def test_wheel_installs_and_imports(kind: str, built: dict[str, Path], tmp_path: Path) -> None:
    """The installed package is the one imported, with its version and type marker."""
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(built[kind])]
    subprocess.run(install, check=True, capture_output=True)
    code = (
        "import hybrid_iv, pathlib, sys; here = pathlib.Path(hybrid_iv.__file__).parent; "
        "assert (here / 'py.typed').exists(); "
        "assert (here / 'pretrained' / 'hybrid.safetensors').exists(); hybrid_iv.toy_panel(dates=5); print(here, hybrid_iv.__version__)"
    )
    assert python(code, tmp_path, str(target)) == f"{target / 'hybrid_iv'} {settings(ROOT)['version']}"


@pytest.mark.parametrize("kind", ["direct", "through_sdist"])
def test_wheel_metadata_comes_from_the_settings(kind: str, built: dict[str, Path]) -> None:
    """Name, version, requirements and the development extras; every module is in it, and nothing but the package."""
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    wanted = config["DEFAULT"]
    with zipfile.ZipFile(built[kind]) as wheel:
        names = wheel.namelist()
        metadata = Parser().parsestr(wheel.read(next(n for n in names if n.endswith(".dist-info/METADATA"))).decode())
    assert (metadata["Name"], metadata["Version"], metadata["Summary"]) == tuple(wanted[k] for k in ("lib_name", "version", "description"))
    needs = metadata.get_all("Requires-Dist") or []
    assert sum("extra ==" not in need for need in needs) == len(wanted["requirements"].split())
    dask, dev = (len(wanted[f"{extra}_requirements"].split()) for extra in ("dask", "dev"))
    assert sum('extra == "dask"' in need for need in needs) == dask
    assert sum('extra == "dev"' in need for need in needs) == dev + dask  # the tests try a cluster too
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hybrid_iv").rglob("*.py")}
    assert modules <= set(names) and {name.split("/")[0].split("-")[0] for name in names} == {"hybrid_iv"}
