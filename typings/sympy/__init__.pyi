# SymPy is untyped, and what a checker infers from its source is often wrong (`Function("f")(x)` as a class):
# its names are Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
