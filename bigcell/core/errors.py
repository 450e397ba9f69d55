"""What can go wrong, as a tree. Each message says what was found, what was wanted and what to do.

BigcellError
├── InputError        the image, the flows or the table cannot be used as they are  (also a ValueError)
│   └── ChunkError    a chunk of it is damaged or out of reach; another try may succeed
├── SettingsError     a setting is unknown, out of range or contradicts another     (also a ValueError)
├── ModelError        a checkpoint is not one, or of an architecture we do not know (also a ValueError)
├── OutputError       the output exists, is read-only or the disk is full           (also an OSError)
├── PlanError         the plan does not fit the machine, or a run does not match its plan
└── BlockError        a block failed while the run was going on
"""

from __future__ import annotations


class BigcellError(Exception):
    """Anything bigcell refuses or fails at, with a sentence a microscopist can act on.

    The message says what was found, what was wanted and what to do. Catch the subclasses to tell the cases apart: those
    for input, settings and models are also a ValueError, that for output is also an OSError.
    """


class InputError(BigcellError, ValueError):
    """The image, the flows or the table cannot be used as they are."""


class AxesError(InputError):
    """A file or an array does not say which axis is which, and its shape leaves more than one answer."""


class SeveralImagesError(InputError):
    """A plate, a well or a collection was given where one image was wanted."""


class ChunkError(InputError):
    """A chunk of the input cannot be read: it is damaged or out of reach, which may pass."""


class SettingsError(BigcellError, ValueError):
    """A setting is unknown, out of range or contradicts another one."""


class ModelError(BigcellError, ValueError):
    """A checkpoint cannot be read, or is of an architecture we do not know."""


class OutputError(BigcellError, OSError):
    """The output exists already, is read-only, or there is no room for it."""


class PlanError(BigcellError):
    """The plan does not fit the machine, or a run does not match its plan."""


class BlockError(BigcellError):
    """A block failed while the run was going on."""
