"""Run the tests of one notebook: now `tools/notebooks.py NOTEBOOK --test FILE`; this file goes."""

import argparse
from pathlib import Path

from notebooks import test

parser = argparse.ArgumentParser()
parser.add_argument("notebook", type=Path)
parser.add_argument("--root", type=Path, required=True)
parser.add_argument("--result", type=Path, required=True)
args = parser.parse_args()
test(args.notebook.resolve(), args.root.resolve(), args.result)
