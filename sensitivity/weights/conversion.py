"""Files of weights that are not read: each with the one line of Python that makes an .npz of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

__all__ = ["LINES", "refuse_format"]

_TORCH = (
    "import numpy, torch; s = torch.load({old!r}, map_location='cpu', weights_only=True); "
    "numpy.savez({new!r}, **{{k: v.double().numpy() for k, v in s.get('state_dict', s).items() "
    "if torch.is_tensor(v)}})"
)
_HDF5 = (
    "import h5py, numpy; a = {{}}; h5py.File({old!r}).visititems(lambda n, o: a.update({{n: o[()]}}) "
    "if isinstance(o, h5py.Dataset) and 'optimizer' not in n else None); numpy.savez({new!r}, **a)"
)
_KERAS = (
    "import keras, numpy; numpy.savez({new!r}, **{{w.path: w.numpy() for w in "
    "keras.saving.load_model({old!r}).weights}})"
)
_PICKLE = "import numpy, pickle; numpy.savez({new!r}, **pickle.load(open({old!r}, 'rb')))"
_JOBLIB = "import joblib, numpy; numpy.savez({new!r}, **joblib.load({old!r}))"
_FLAX = (
    "import numpy; from flax import serialization, traverse_util; numpy.savez({new!r}, "
    "**traverse_util.flatten_dict(serialization.msgpack_restore(open({old!r}, 'rb').read()), sep='/'))"
)
_EQUINOX = (
    "import equinox, numpy; c = equinox.tree_deserialise_leaves({old!r}, cell); numpy.savez({new!r}, "
    "**{{k: v for k, v in vars(c).items() if equinox.is_array(v)}})"
)
_MATLAB = (
    "import numpy, scipy.io; numpy.savez({new!r}, **{{k: v for k, v in scipy.io.loadmat({old!r}).items() "
    "if k[0] != '_'}})"
)
_NPY = "import numpy; numpy.savez({new!r}, W=numpy.load({old!r}), b=…)"
_ONNX = (
    "import numpy; from onnx import load, numpy_helper as h; g = load({old!r}).graph; "
    "a = {{t.name: h.to_array(t) for t in g.initializer}}; n = next(n for n in g.node if n.op_type == "
    "'LSTM'); "
    "W, R, B = (a[i][0] for i in n.input[1:4]); p = lambda x: numpy.concatenate([numpy.split(x, 4)[i] for "
    "i in "
    "(0, 2, 3, 1)]); b = numpy.split(B, 2); numpy.savez({new!r}, weight_ih_l0=p(W), weight_hh_l0=p(R), "
    "bias_ih_l0=p(b[0]), bias_hh_l0=p(b[1]))"
)

LINES: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(
        (".pt", ".pth", ".ckpt", ".bin"),
        ("a file of torch.save, whose state dict leapgrad.from_torch takes in Python", _TORCH),
    ),
    **dict.fromkeys((".h5", ".hdf5"), ("an HDF5 file", _HDF5)),
    ".keras": ("an archive of Keras", _KERAS),
    **dict.fromkeys(
        (".pkl", ".pickle"), ("a pickle, which can run code: convert only what you trust", _PICKLE)
    ),
    ".joblib": ("a file of joblib, which can run code: convert only what you trust", _JOBLIB),
    **dict.fromkeys((".msgpack", ".flax"), ("a file of Flax", _FLAX)),
    ".eqx": ("a file of Equinox, to be read with the cell that has its shapes", _EQUINOX),
    ".mat": ("a file of MATLAB", _MATLAB),
    ".npy": ("one array without a name", _NPY),
    ".onnx": ("a graph of ONNX, whose LSTM has its gates in the order i, o, f, c", _ONNX),
}
"""Suffix → what the file is, and the line; ``{old}`` and ``{new}`` stand for the paths."""


def refuse_format(path: Path) -> NoReturn:
    """Raise for a file that is neither .npz nor .safetensors.

    Raises
    ------
    ValueError
        With the line that converts it, where its suffix is known.
    """
    wanted = f"{path.name} must end in .npz or .safetensors."
    if path.suffix.lower() not in LINES:
        if path.is_dir():
            raise ValueError(
                f"{wanted} It is a folder; load the model and save its weights with numpy.savez."
            )
        raise ValueError(wanted)
    about, line = LINES[path.suffix.lower()]
    new = path.with_suffix(".npz")
    command = line.format(old=str(path), new=str(new))
    raise ValueError(
        f"{wanted} It is {about}. Run the following line where the package that wrote it is installed, and "
        f'name {new} instead; this makes one: python -c "{command}"'
    )
