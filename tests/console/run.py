"""Uses the console in headless Chromium, on a local stack.

Usage: run.py FOLDER_OF_PROGRAMS [TEST...]
       run.py FOLDER_OF_PROGRAMS --pictures FOLDER

Pictures are the screenshots of the documentation.
"""

import pathlib
import sys
import unittest

import pictures
from case import ConsoleTest
from stack import Stack, chromium


def main(programs: pathlib.Path, arguments: list[str]) -> int:
    stack = Stack(programs)
    try:
        with chromium() as browser:
            if arguments[:1] == ["--pictures"]:
                pictures.take(browser, stack, pathlib.Path(arguments[1]))
                return 0
            ConsoleTest.stack, ConsoleTest.browser = stack, browser
            loader = unittest.defaultTestLoader
            folder = pathlib.Path(__file__).parent
            if arguments:
                loader.testNamePatterns = [f"*{name}*" for name in arguments]
            tests = loader.discover(str(folder))
            return not unittest.TextTestRunner(verbosity=2).run(tests).wasSuccessful()
    finally:
        stack.stop()


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2:]))
