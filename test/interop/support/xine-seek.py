"""Plays a URL with libxine from a time on and prints a line for each new position: milliseconds.

Without pictures and sound: what xine's frame grabber hands out is of no use behind a seek, because xine waits for pictures that
nobody takes.
"""

import ctypes
import os
import sys
import time

url, start = sys.argv[1], int(sys.argv[2])
STATUS_PLAY = 2
POLL_SECONDS = 0.1
# xine stays in its playing state behind the end; the position does not move any more.
LONGEST_STANDSTILL = 2.0

xine = ctypes.CDLL("libxine.so.2")
POINTER = ctypes.c_void_p
NUMBER = ctypes.POINTER(ctypes.c_int)


def function(name, result, *arguments):
    function = getattr(xine, name)
    function.restype = result
    function.argtypes = list(arguments)
    return function


new = function("xine_new", POINTER)
init = function("xine_init", None, POINTER)
open_video = function("xine_open_video_driver", POINTER, POINTER, ctypes.c_char_p, ctypes.c_int, POINTER)
open_audio = function("xine_open_audio_driver", POINTER, POINTER, ctypes.c_char_p, POINTER)
new_stream = function("xine_stream_new", POINTER, POINTER, POINTER, POINTER)
open_url = function("xine_open", ctypes.c_int, POINTER, ctypes.c_char_p)
play = function("xine_play", ctypes.c_int, POINTER, ctypes.c_int, ctypes.c_int)
get_error = function("xine_get_error", ctypes.c_int, POINTER)
get_status = function("xine_get_status", ctypes.c_int, POINTER)
get_position = function("xine_get_pos_length", ctypes.c_int, POINTER, NUMBER, NUMBER, NUMBER)

engine = new()
init(engine)
stream = new_stream(engine, open_audio(engine, b"none", None), open_video(engine, b"none", 0, None))
if not open_url(stream, url.encode()) or not play(stream, 0, start):
    sys.exit(f"xine cannot play the stream, error {get_error(stream)}")
place, position, length = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
last, moved = -1, time.monotonic()
while get_status(stream) == STATUS_PLAY and time.monotonic() - moved < LONGEST_STANDSTILL:
    if get_position(stream, ctypes.byref(place), ctypes.byref(position), ctypes.byref(length)) and position.value != last:
        last, moved = position.value, time.monotonic()
        print(last, flush=True)
    time.sleep(POLL_SECONDS)
# The engine's own threads need no goodbye; there is nothing to save.
os._exit(0)
