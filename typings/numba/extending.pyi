# An @intrinsic is called without the typing context that it is declared with, which a checker cannot know:
# the names of this module are Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
