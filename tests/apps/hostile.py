"""Does to its own process and to what it shares whatever the path says."""

import ctypes
import os
import socket
import stat


def application(environ, start_response):
    result = globals()["do_" + environ["PATH_INFO"].strip("/").replace("-", "_")]()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(result).encode()]


def shared_memory():
    """What is shared and can be written: beginning and length of each mapping."""
    for line in open("/proc/self/maps"):
        fields = line.split()
        if fields[1] == "rw-s":
            start, end = (int(address, 16) for address in fields[0].split("-"))
            yield start, end - start


def sockets():
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                yield int(name)
        except OSError:
            pass


def do_pid():
    return os.getpid()


def scribble(fill):
    count = 0
    for start, length in shared_memory():
        fill(start, length)
        count += 1
    return count


def do_fill_with_ones():
    return scribble(lambda start, length: ctypes.memset(start, 0xFF, length))


def do_fill_with_zeros():
    return scribble(lambda start, length: ctypes.memset(start, 0, length))


def do_fill_with_noise():
    noise = os.urandom(1 << 20)

    def fill(start, length):
        for at in range(0, length, len(noise)):
            ctypes.memmove(start + at, noise, min(len(noise), length - at))

    return scribble(fill)


def do_fill_for_ever():
    """Goes on while the router reads."""
    noise = os.urandom(4096)
    areas = list(shared_memory())
    for round in range(3000):
        for start, length in areas:
            ctypes.memmove(start + (round * 4096) % (length - 4096), noise, 4096)
    return len(areas)


def do_shrink():
    results = []
    for name in os.listdir("/proc/self/fd"):
        for length in (0, 1 << 30):
            try:
                if "memfd" in os.readlink(f"/proc/self/fd/{name}"):
                    os.ftruncate(int(name), length)
                    results.append(name)
            except OSError:
                pass
    return results


def do_send_garbage():
    for fd in sockets():
        end = socket.socket(fileno=os.dup(fd))
        end.setblocking(False)
        for packet in (b"", b"\0", b"\xff" * 16, os.urandom(16), os.urandom(4096)):
            for _ in range(50):
                try:
                    end.send(packet)
                except OSError:
                    break
        end.detach()


def do_send_descriptors():
    """Sends more descriptors than any message has."""
    null = os.open("/dev/null", os.O_RDONLY)
    for fd in sockets():
        end = socket.socket(fileno=os.dup(fd))
        end.setblocking(False)
        for _ in range(200):
            try:
                socket.send_fds(end, [os.urandom(16)], [null] * 200)
            except OSError:
                break
        end.detach()


def do_close_everything():
    os.closerange(3, 1024)


def do_shut_down():
    for fd in sockets():
        try:
            socket.socket(fileno=os.dup(fd)).shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def do_abort():
    os.abort()


def do_eat_descriptors():
    kept = []
    try:
        while True:
            kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return len(kept)


def do_descriptors():
    """What an application can see of others: the names of everything it has open."""
    names = []
    for name in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass
    return "\n".join(sorted(names))
