"""Reads an mmsh:// URL with libmms and writes the ASF bytes to standard output until the stream ends."""

import ctypes
import os
import sys

NO_BANDWIDTH_LIMIT = 2**31 - 1

libmms = ctypes.CDLL("libmms.so.0")
libmms.mmsh_connect.restype = ctypes.c_void_p
libmms.mmsh_connect.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
libmms.mmsh_read.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]

stream = libmms.mmsh_connect(None, None, sys.argv[1].encode(), NO_BANDWIDTH_LIMIT)
if not stream:
    sys.exit("libmms cannot connect")
# Small, because libmms gives nothing until the whole of what was asked for is there.
buffer = ctypes.create_string_buffer(512)
while True:
    count = libmms.mmsh_read(None, stream, buffer, len(buffer))
    if count <= 0:
        break
    os.write(1, buffer.raw[:count])
