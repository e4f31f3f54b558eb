"""python -m tests.dying_api WORDS [arguments]: the API, which dies by SIGKILL before the first statement with WORDS."""

import os
import signal
import sys
from typing import Any

from sqlalchemy import Engine, event

from api.__main__ import main


def die(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    if sys.argv[0] in statement:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    del sys.argv[0]
    event.listen(Engine, "before_cursor_execute", die)
    main()
