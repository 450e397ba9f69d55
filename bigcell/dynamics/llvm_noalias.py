"""Reads and writes that never meet, told to LLVM, and 32-bit arithmetic: what numba needs to make vectors of a loop.

LLVM makes vectors of a loop only where it can prove that nothing written is read again as something else. A read at a
computed place defeats that. Here reads of a field and accesses to a state carry the metadata that says they are apart
(LLVM Language Reference, 'noalias' and 'alias.scope' metadata). It is the caller's promise that the two arrays are.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _apart(module: ir.Module, access: ir.Instruction, mine: str, other: str) -> ir.Instruction:
    """Let `access` belong to the scope `mine`, which never meets the scope `other`."""
    domain = module.add_metadata([ir.MetaDataString(module, "bigcell")])
    for kind, name in (("alias.scope", mine), ("noalias", other)):
        scope = module.add_metadata([ir.MetaDataString(module, f"bigcell {name}"), domain])
        access.set_metadata(kind, module.add_metadata([scope]))
    return access


def _element(context: Any, builder: Any, kind: Any, array: Any, places: list[Any]) -> Any:
    """The address of an element of a C-contiguous array."""
    held = context.make_array(kind)(context, builder, array)
    place = places[0]
    for axis, next_place in enumerate(places[1:], start=1):
        length = builder.extract_value(held.shape, axis)
        place = builder.add(builder.mul(place, length), next_place)
    return builder.gep(held.data, [place])


@intrinsic
def pair_at(typing_context, field, place):  # type: ignore[no-untyped-def]
    """Two neighbours of an int16 field (voxels,) from `place` (int32) on as one int32: the first in the low half."""

    def make(context, builder, signature, args):  # type: ignore[no-untyped-def]
        at = _element(context, builder, signature.args[0], args[0], [builder.sext(args[1], _I64)])
        read = builder.load(builder.bitcast(at, _I32.as_pointer()), align=2)
        return _apart(builder.module, read, "field", "state")

    return types.int32(field, types.int32), make


@intrinsic
def state_at(typing_context, state, row, lane):  # type: ignore[no-untyped-def]
    """state[row, lane] of an int32 state."""

    def make(context, builder, signature, args):  # type: ignore[no-untyped-def]
        read = builder.load(_element(context, builder, signature.args[0], args[0], list(args[1:])), align=4)
        return _apart(builder.module, read, "state", "field")

    return types.int32(state, types.int64, types.int64), make


@intrinsic
def state_put(typing_context, state, row, lane, value):  # type: ignore[no-untyped-def]
    """state[row, lane] = value (int32)."""

    def make(context, builder, signature, args):  # type: ignore[no-untyped-def]
        at = _element(context, builder, signature.args[0], args[0], list(args[1:3]))
        _apart(builder.module, builder.store(args[3], at, align=4), "state", "field")
        return context.get_dummy_value()

    return types.void(state, types.int64, types.int64, types.int32), make


@intrinsic
def lerp(typing_context, a, b, weight, shift):  # type: ignore[no-untyped-def]
    """a + ((b - a) * weight, rounded, without its lowest `shift` bits), all int32."""

    def make(context, builder, signature, args):  # type: ignore[no-untyped-def]
        a, b, weight, shift = args
        half = builder.shl(_I32(1), builder.sub(shift, _I32(1)))
        product = builder.add(builder.mul(builder.sub(b, a), weight), half)
        return builder.add(a, builder.ashr(product, shift))

    return types.int32(*(types.int32,) * 4), make
