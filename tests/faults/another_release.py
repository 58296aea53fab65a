"""`taskchat` of another checkout, which RELEASE names: nothing of this one's is imported by it."""

import os
import sys

if __name__ == "__main__":
    source = os.path.join(os.environ["RELEASE"], "src")
    environment = {**os.environ, "PYTHONPATH": source}
    command = [sys.executable, "-P", "-m", "taskchat", *sys.argv[1:]]
    os.execve(sys.executable, command, environment)
