"""What is read of a file that is no image; tests of pixels are in `tests/datasets/test_images`."""

import os
import re
import socket
import sys
import threading

import pytest

from penultimate._common.decoding import decode_image, looks_like_image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes are no files there")


@pytest.fixture(params=["pipe", "link", "socket", "device"])
def endless(request, tmp_path, monkeypatch):
    path = tmp_path / "photo.png"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "link":
        os.mkfifo(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            monkeypatch.chdir(tmp_path)  # names of sockets are short
            bound.bind(path.name)
    else:
        path.symlink_to("/dev/zero")
    return path


def test_pipes_and_devices_are_refused_and_not_waited_for(endless):
    said = []

    def read():
        try:
            decode_image(endless)
        except ValueError as error:
            said.append(str(error))
        said.append(looks_like_image(endless.rename(endless.with_name("photo"))))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(10)
    assert said == [
        f"{endless}: it is a pipe or a device, not a file; save the image as a file",
        False,
    ]


def test_an_error_of_the_system_names_the_file_once(tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    for name, reason in [("gone.png", "No such file or directory"), ("", "Is a directory")]:
        with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path / name))}: {reason}$"):
            decode_image(tmp_path / name)
