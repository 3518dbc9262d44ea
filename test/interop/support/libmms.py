"""Reads an mmsh:// or mmst:// URL with libmms and writes the ASF bytes to standard output until the stream ends.

With `time SECONDS` or `byte OFFSET` behind the URL it seeks there once it has read the header.
"""

import ctypes
import os
import sys

NO_BANDWIDTH_LIMIT = 2**31 - 1
FROM_START = 0

libmms = ctypes.CDLL("libmms.so.0")
POINTER = ctypes.c_void_p


def function(name, result, *arguments):
    function = getattr(libmms, name)
    function.restype = result
    function.argtypes = list(arguments)
    return function


# The two protocols of libmms have functions of the same shape.
PREFIX = "mms_" if sys.argv[1].startswith("mmst:") else "mmsh_"
connect = function(PREFIX + "connect", POINTER, POINTER, POINTER, ctypes.c_char_p, ctypes.c_int)
read = function(PREFIX + "read", ctypes.c_int, POINTER, POINTER, ctypes.c_char_p, ctypes.c_int)
header_size = function(PREFIX + "get_asf_header_len", ctypes.c_uint32, POINTER)
is_seekable = function(PREFIX + "get_seekable", ctypes.c_int, POINTER)
seek_time = function(PREFIX + "time_seek", ctypes.c_int, POINTER, POINTER, ctypes.c_double)
seek_byte = function(PREFIX + "seek", ctypes.c_int64, POINTER, POINTER, ctypes.c_int64, ctypes.c_int)

stream = connect(None, None, sys.argv[1].encode(), NO_BANDWIDTH_LIMIT)
if not stream:
    sys.exit("libmms cannot connect")
# Small, because libmms gives nothing until the whole of what was asked for is there.
buffer = ctypes.create_string_buffer(512)


def copy(most):
    count = read(None, stream, buffer, min(most, len(buffer)))
    if count > 0:
        os.write(1, buffer.raw[:count])
    return count


if len(sys.argv) > 2:
    kind, to = sys.argv[2:4]
    if not is_seekable(stream):
        sys.exit("libmms takes it for a broadcast")
    left = header_size(stream)
    while left > 0:
        left -= copy(left)
    if kind == "time" and not seek_time(None, stream, float(to)):
        sys.exit("libmms cannot seek to the time")
    if kind == "byte" and seek_byte(None, stream, int(to), FROM_START) != int(to):
        sys.exit("libmms cannot seek to the byte")
while copy(len(buffer)) > 0:
    pass
