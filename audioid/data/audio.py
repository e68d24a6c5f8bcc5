"""From a recording on disk to a mono float32 waveform of the wanted sample rate and length."""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from audioid.errors import AudioidError

Waveform = NDArray[np.float32]

AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".w64", ".rf64", ".bwf", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2"}
    | {".aiff", ".aif", ".aifc", ".au", ".snd", ".caf"}
)

# What the samples of a recording depend on beside its content and the code here.
DECODERS = (f"libsndfile {soundfile.__libsndfile_version__}", f"soxr {soxr.__version__}")
MOST_CHANNELS = 1024  # libsndfile's own limit
# A header outside these bounds is damaged, not exotic: sonar reaches a few MHz, infrasound 100 Hz.
LOWEST_RATE, HIGHEST_RATE = 100, 10_000_000
# Floating-point files may hold 32-bit integers unscaled; their powers still fit float32, larger ones do not.
LARGEST_SAMPLE = 2.0**31
# One read decodes at most this many values of all channels together (4 MiB).
BLOCK_VALUES = 2**20
# The onset and the loudest part are looked for in this many values: 12 minutes of stereo at 44.1 kHz.
SEARCH_VALUES = 2**26
FIRST = 2**14  # frames by which a recording is told from others
HOP_SECONDS = 0.005
ONSET_DECIBEL = -30.0
# Samples, at the lower of both rates, decoded beyond the end: the resampling filter shall see no edge there.
MARGIN = 128
# What libsndfile says of a FLAC whose header leaves its length open, as recorders that write to a pipe make it;
# and the error of the seek that soundfile does after each read, which fails at the end of such a file.
UNKNOWN_FRAMES = 2**63 - 1
SEEK_FAILED = 39
# What libsndfile says where its MP3 decoder finds nothing to decode: that the file "does not exist".
BAD_FILE = 7
# Below -120 dBFS there is only rounding noise, which no level treatment should raise.
SILENCE = 1e-6
# 80 dB below the loudest sample nothing sounds.
LEAD = 1e-4
RMS_LEVEL = 0.1


class Unreadable(AudioidError):  # noqa: N818 (reads better than UnreadableError)
    """A recording that cannot be used, and why: `path` and `reason`."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Sounding(BytesIO):
    """A waveform that is in no file, as the content of one."""

    name = "waveform"

    def __init__(self, waveform: NDArray[np.floating[Any]], sample_rate: int) -> None:
        """`waveform` is `(time,)` or `(channels, time)`, `sample_rate` in hertz.

        Raises:
            Unreadable: it has another shape, or no samples, or no such rate.
        """
        super().__init__()
        path = Path(self.name)
        if np.asarray(waveform).dtype.kind not in "fiub":
            raise Unreadable(path, "holds no real numbers")
        frames = np.atleast_2d(np.asarray(waveform, np.float32)).T
        if frames.ndim != 2 or frames.shape[1] > MOST_CHANNELS or 2 < frames.shape[1] > len(frames) > 1:
            told = f"is of shape {np.shape(waveform)}; give (time,) or (channels, time), such as waveform.T"
            raise Unreadable(path, told)
        if not frames.size:
            raise Unreadable(path, "holds no samples")
        if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE or sample_rate != int(sample_rate):
            raise Unreadable(path, f"has a sample rate of {sample_rate} Hz; give that of its samples")
        soundfile.write(self, frames, int(sample_rate), format="WAV", subtype="FLOAT")

    def __str__(self) -> str:
        return self.name


Source = Path | Sounding


def _path_of(source: Source) -> Path:
    return source if isinstance(source, Path) else Path(source.name)


@contextmanager
def open_recording(source: Source) -> Iterator[soundfile.SoundFile]:
    """The recording opened for reading; whatever goes wrong with it, also later on, is `Unreadable`."""
    path = _path_of(source)
    try:
        if isinstance(source, Sounding):
            source.seek(0)
        elif not path.is_file():  # a named pipe would block for ever
            raise Unreadable(path, "is not a file; it may have been moved, or be a broken link; put it back")
        elif path.stat().st_size == 0:
            raise Unreadable(path, "is empty (0 bytes); copy it again")
        with soundfile.SoundFile(source) as file:
            if file.frames <= 0:
                raise Unreadable(path, "holds no samples; record it again")
            if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
                raise Unreadable(
                    path, f"claims a sample rate of {file.samplerate} Hz, so its header is damaged; export it again"
                )
            yield file
    except soundfile.LibsndfileError as error:
        raise Unreadable(
            path, f"is damaged, or no sound that can be decoded ({_text(error)}); export it again"
        ) from None
    except OSError as error:
        raise Unreadable(path, f"cannot be opened ({error.strerror}); change who may read it, or move it") from None
    except UnicodeEncodeError:
        raise Unreadable(path, "has a name that is not UTF-8; rename it") from None


def count_frames(file: soundfile.SoundFile, most: int | None = None) -> int:
    """Frames of a file just opened: as its header says, else as decoding finds, within `most` (by default as many as
    `SEARCH_VALUES` allow)."""
    if file.frames < UNKNOWN_FRAMES:
        return int(file.frames)
    return sum(map(len, mono_blocks(file, SEARCH_VALUES // file.channels if most is None else most)))


def _text(error: soundfile.LibsndfileError) -> str:
    if error.code == SEEK_FAILED:
        return "it breaks off before the end that its header claims"
    if error.code == BAD_FILE:
        return "no known format is found in it"
    return error.error_string.removeprefix("Error : ").rstrip(".").lower()


def load(
    path: Path,
    *,
    sample_rate: int,
    seconds: float,
    start: str,
    padding: str,
    remove_dc: bool,
    level: str,
) -> Waveform:
    """One recording as float32 `(time,)` with `time = round(sample_rate * seconds)`.

    Channels are averaged, then soxr (HQ) resamples. Of a long recording only the wanted part is decoded.

    Args:
        start: which part of a recording longer than `seconds` is taken: its `beginning`, from its `onset`
            (where its level first comes within 30 dB of its loudest 5 ms), its `loudest` part, or a `random`
            one drawn from the file's own bytes, thus the same in every run. Never so late that it needs padding, but
            for silence (80 dB below the part's loudest sample), with which no part begins or ends.
        padding: what fills a recording that is shorter: zeros after it (`end`), zeros on both sides
            (`center`), or the recording itself again and again (`repeat`).
        remove_dc: subtract the mean of the part taken.
        level: `none`, `peak` (largest sample 1) or `rms` (0.1, measured before padding); silence stays as it is.

    Raises:
        Unreadable: the file is missing, empty, damaged, of no known format, or holds samples that are no
            numbers.
    """
    time = round(sample_rate * seconds)
    wave = decode(path, sample_rate=sample_rate, time=time, start=start)
    return padded(levelled(wave, remove_dc=remove_dc, level=level), time, padding)


def decode(source: Source, *, sample_rate: int, time: int, start: str) -> Waveform:
    """The part of a recording that `load` describes, float32 `(at most time,)`, as loud as it is there.

    Raises:
        Unreadable: as `load`.
    """
    with open_recording(source) as file:
        rate = file.samplerate
        window = math.ceil(time * rate / sample_rate)
        margin = math.ceil(MARGIN * max(1.0, rate / sample_rate))
        if start != "beginning" and file.frames > window:
            _skip(file, _start(source, window, start))
        wave = _from_sound_on(file, window + margin)
    if not wave.size:
        raise Unreadable(_path_of(source), "breaks off before its first sample; copy it again")
    if rate != sample_rate:
        wave = soxr.resample(wave, rate, sample_rate, quality="HQ")
    return wave[:time]


def _from_sound_on(file: soundfile.SoundFile, frames: int) -> Waveform:
    """The next `frames` frames, or as many as there are, without the silence that they begin and end with.

    Silence is no part of a sound: programs and MP3 encoders put some before and after it, and names must not depend on
    how much. It is such beside the loudest of the `frames` that follow it.
    """
    wave = _joined(mono_blocks(file, frames))
    # Nothing is louder than full scale, so only what is no louder than this may be silence.
    while 0 < wave.size < SEARCH_VALUES and not (np.abs(wave) > LEAD).any():
        more = _joined(mono_blocks(file, wave.size))
        if not more.size:
            break
        wave = more if np.abs(wave).max() < SILENCE else np.concatenate([wave, more])
    may_sound = np.abs(wave) > LEAD
    end = int(np.argmax(may_sound)) + frames if may_sound.any() else wave.size
    wave = np.concatenate([wave[:end], *mono_blocks(file, end - wave.size)])
    loudest = float(np.abs(wave).max(initial=0.0))
    heard = wave[sounding(wave, loudest)][:frames]
    return heard[sounding(heard, loudest)] if heard.size else wave[:frames]


def _joined(blocks: Iterator[Waveform]) -> Waveform:
    return np.concatenate([*blocks, np.empty(0, np.float32)])


def sounding(wave: Waveform, loudest: float) -> slice:
    """The samples from the first to the last that is heard beside the `loudest`, and one before, from which a wave may
    rise; none, at its end, where nothing is heard."""
    is_heard = np.abs(wave) > LEAD * loudest
    if loudest < SILENCE or not is_heard.any():
        return slice(wave.size, wave.size)
    return slice(max(0, int(np.argmax(is_heard)) - 1), wave.size - int(np.argmax(is_heard[::-1])))


def mono_blocks(file: soundfile.SoundFile, frames: int, values: int | None = None) -> Iterator[Waveform]:
    """The next `frames` frames, or as many as there are, averaged over channels, each block of so many `values`."""
    frames = min(frames, file.frames - file.tell()) if file.seekable() else frames
    step = max(1, (values or BLOCK_VALUES) // file.channels)
    while frames > 0:
        block, last = _read(file, min(step, frames))
        if not len(block):
            return
        if not (block.min() >= -LARGEST_SAMPLE and block.max() <= LARGEST_SAMPLE):  # NaN is no larger, nor smaller
            raise Unreadable(
                Path(str(file.name)), "holds samples that are no numbers or far too large; export it again"
            )
        yield block[:, 0] if file.channels == 1 else block.mean(axis=1)
        frames = 0 if last else frames - len(block)


def _read(file: soundfile.SoundFile, frames: int) -> tuple[Waveform, bool]:
    """At most so many frames, `(frames, channels)`, and whether nothing can follow."""
    block = np.full((frames, file.channels), np.nan, np.float32)
    try:
        return file.read(out=block), False
    except soundfile.LibsndfileError as error:
        if file.frames < UNKNOWN_FRAMES or error.code != SEEK_FAILED:
            raise
        return block[~np.isnan(block[:, 0])], True


def _skip(file: soundfile.SoundFile, frames: int) -> None:
    """Go forward in a file just opened."""
    if file.seekable() and file.frames < UNKNOWN_FRAMES:
        file.seek(frames)
    else:
        for _ in mono_blocks(file, frames):
            pass


def _start(source: Source, window: int, start: str) -> int:
    """The frame where the part of `window` frames begins."""
    with open_recording(source) as file:
        if start == "random":
            latest = max(0, count_frames(file) - window)
            return _chance(source) % (latest + 1)
        hop, power = hop_power(file)
    last = max(0, power.size - math.ceil(window / hop))
    if start == "onset":
        first = onset(power)
    else:
        total = np.concatenate([[0.0], np.cumsum(power)])
        hops = power.size - last
        first = int(np.argmax(total[hops:] - total[: last + 1]))
    return min(first, last) * hop


def _chance(source: Source) -> int:
    """A number that depends on the recording's first samples alone, and so is that of a waveform in no file too."""
    with open_recording(source) as file:
        first = next(mono_blocks(file, FIRST), np.empty(0, np.float32))
    return int.from_bytes(hashlib.blake2b(first.tobytes(), digest_size=8).digest(), "big")


def onset(power: NDArray[np.float64]) -> int:
    """The first of the hops of `hop_power` whose level is within 30 dB of the loudest; 0 where there are none."""
    threshold = power.max(initial=0.0) * 10 ** (ONSET_DECIBEL / 10)
    return int(np.argmax(power >= threshold)) if power.size else 0


def hop_power(file: soundfile.SoundFile) -> tuple[int, NDArray[np.float64]]:
    """Frames of a hop of 5 ms, and the variance within each `(hops,)` (so that a DC offset does not count), of a file
    just opened, as far as it is searched."""
    hop = math.ceil(file.samplerate * HOP_SECONDS)
    powers, rest = [], np.empty(0, np.float32)
    for block in mono_blocks(file, SEARCH_VALUES // file.channels):
        block = np.concatenate([rest, block])
        whole = len(block) // hop * hop
        powers.append(block[:whole].reshape(-1, hop).var(axis=1, dtype=np.float64))
        rest = block[whole:]
    return hop, np.concatenate([*powers, np.empty(0)])


def levelled(wave: Waveform, *, remove_dc: bool, level: str) -> Waveform:
    """The waveform `(time,)` without its mean, and at the `level` that `load` describes."""
    if remove_dc and wave.size:
        wave = wave - wave.mean(dtype=np.float64).astype(np.float32)
    peak = float(np.max(np.abs(wave), initial=0.0))
    if level == "none" or peak < SILENCE:
        return wave
    gain = 1 / peak if level == "peak" else RMS_LEVEL / math.sqrt(np.mean(np.square(wave, dtype=np.float64)))
    return wave * np.float32(gain)


def padded(wave: Waveform, time: int, padding: str) -> Waveform:
    """The waveform `(<= time,)` made `(time,)`."""
    missing = time - wave.size
    if padding == "repeat" and wave.size:
        return np.resize(wave, time)
    before = missing // 2 if padding == "center" else 0
    return np.pad(wave, (before, missing - before))
