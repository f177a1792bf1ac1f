"""Run every measurement that fits in minutes; each module also runs by itself with its own options."""

from __future__ import annotations

import subprocess
import sys

QUICK = (
    ("serving", ()),
    ("monitoring", ()),
    ("learning", ("--scenarios", "simulator", "--seeds", "5", "--large-seeds", "5", "--sizes", "3000")),
)


def main() -> int:
    """Run each in a process of its own, so that none inherits another's threads or memory."""
    failed = [
        name
        for name, options in QUICK
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options]).returncode
    ]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
