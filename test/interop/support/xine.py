"""Plays a URL with libxine and prints a line for each decoded picture: `WIDTHxHEIGHT BYTES-OF-SOUND`.

The xine program needs a display; the library is the player itself. Pictures are fetched from its frame grabber, sound goes
through its file driver into the WAV file named by the second argument.
"""

import ctypes
import os
import sys
import threading

url, wav = sys.argv[1:3]
os.environ["XINE_WAVE_OUTPUT"] = wav
STATUS_PLAY = 2


class VideoFrame(ctypes.Structure):
    _fields_ = [
        ("vpts", ctypes.c_int64),
        ("duration", ctypes.c_int64),
        ("aspect_ratio", ctypes.c_double),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("colorspace", ctypes.c_int),
        ("pos_stream", ctypes.c_int),
        ("pos_time", ctypes.c_int),
        ("frame_number", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("xine_frame", ctypes.c_void_p),
    ]


xine = ctypes.CDLL("libxine.so.2")
POINTER = ctypes.c_void_p


def function(name, result, *arguments):
    function = getattr(xine, name)
    function.restype = result
    function.argtypes = list(arguments)
    return function


new = function("xine_new", POINTER)
init = function("xine_init", None, POINTER)
new_video = function("xine_new_framegrab_video_port", POINTER, POINTER)
open_audio = function("xine_open_audio_driver", POINTER, POINTER, ctypes.c_char_p, POINTER)
new_stream = function("xine_stream_new", POINTER, POINTER, POINTER, POINTER)
open_url = function("xine_open", ctypes.c_int, POINTER, ctypes.c_char_p)
play = function("xine_play", ctypes.c_int, POINTER, ctypes.c_int, ctypes.c_int)
get_error = function("xine_get_error", ctypes.c_int, POINTER)
get_status = function("xine_get_status", ctypes.c_int, POINTER)
next_frame = function("xine_get_next_video_frame", ctypes.c_int, POINTER, POINTER)
free_frame = function("xine_free_video_frame", None, POINTER, POINTER)

engine = new()
init(engine)
video = new_video(engine)
audio = open_audio(engine, b"file", None)
if not video or not audio:
    sys.exit("xine lacks its frame grabber or its file audio driver")
stream = new_stream(engine, audio, video)
if not open_url(stream, url.encode()):
    sys.exit(f"xine cannot open the stream, error {get_error(stream)}")


def grab():
    frame = VideoFrame()
    while next_frame(video, ctypes.byref(frame)):
        sound = os.path.getsize(wav) if os.path.exists(wav) else 0
        print(f"{frame.width}x{frame.height} {sound}", flush=True)
        free_frame(video, ctypes.byref(frame))


# Before play, which waits until the first picture has been taken.
grabber = threading.Thread(target=grab, daemon=True)
grabber.start()
if not play(stream, 0, 0):
    print(f"xine cannot play the stream, error {get_error(stream)}", file=sys.stderr, flush=True)
    os._exit(1)
while get_status(stream) == STATUS_PLAY and grabber.is_alive():
    grabber.join(0.2)
# The engine's own threads hold the frame grabber; there is nothing to save.
os._exit(0)
