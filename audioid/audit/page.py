"""`audit.html`: one file with pictures and players, nothing loaded from elsewhere."""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from audioid.audit.checks import Case, Finding
from audioid.data.audio import Unreadable, Waveform, load
from audioid.data.index import Index

SAMPLE_RATE, SECONDS = 32000, 3.0
# Cases of one kind that are shown with picture and player, some 30 kB each; audit.json holds all.
SHOWN = 12
WIDTH, HEIGHT = 224, 96
N_FFT, DECIBEL_RANGE = 1024, 70.0
LOWEST, HIGHEST = 40.0, 16000.0
# Dark to bright, even in lightness.
COLOURS = np.array([[6, 6, 20], [58, 16, 92], [140, 41, 99], [215, 72, 66], [251, 155, 40], [252, 253, 191]])

STYLE = """
:root { --ink: #1c2230; --dim: #667085; --line: #e4e7ee; --card: #fff; --bad: #b42318; --bad-bg: #fef3f2; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f6fa; color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 36px 0 4px; }
p { margin: 2px 0 12px; color: var(--dim); }
ul.summary { list-style: none; margin: 20px 0; padding: 0; display: grid; gap: 8px; }
ul.summary li { background: var(--card); border: 1px solid var(--line); border-left: 4px solid #98a2b3;
  border-radius: 6px; padding: 9px 14px; }
ul.summary li.severe { border-left-color: var(--bad); background: var(--bad-bg); }
.cases { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 12px; }
.case { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px; }
.case.pair { grid-column: span 2; }
.case .sounds { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; }
.detail { font-size: 13px; color: var(--dim); margin-bottom: 6px; }
figure { margin: 0; min-width: 0; }
figure img { width: 100%; height: 96px; display: block; border-radius: 4px; background: #060614; }
figure audio { width: 100%; height: 32px; margin-top: 6px; }
figcaption { font-size: 13px; overflow-wrap: anywhere; margin-bottom: 6px; }
.label { display: inline-block; background: #eef2ff; color: #3538cd; border-radius: 4px; padding: 0 6px; }
table { border-collapse: collapse; width: 100%; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; font-size: 14px; }
th, td { text-align: left; padding: 6px 12px; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--dim); font-weight: 600; }
td { font-variant-numeric: tabular-nums; overflow-wrap: break-word; }
"""


def html_page(
    root: str,
    summary: Sequence[tuple[bool, str]],
    tables: Sequence[tuple[str, list[str], list[list[str]]]],
    findings: Sequence[Finding],
    index: Index,
) -> str:
    """The page as text; every name that comes from a file is escaped."""
    lines = "".join(f"<li{' class=severe' if severe else ''}>{escape(line)}</li>" for severe, line in summary)
    body = "".join(_table(*table) for table in tables if table[2])
    body += "".join(_finding(finding, index) for finding in findings)
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>Audit of {escape(root)}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>Audit of {escape(root)}</h1><p>{len(index.table):,} recordings in {len(index.classes):,} classes</p>"
        f"<ul class=summary>{lines}</ul>{body}</main></body></html>\n"
    )


def _table(title: str, headers: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _finding(finding: Finding, index: Index) -> str:
    cases = "".join(_case(case, index) for case in finding.cases[:SHOWN])
    more = len(finding.cases) - SHOWN
    rest = f" The first {SHOWN} of them; audit.json lists all." if more > 0 else ""
    return (
        f"<h2>{escape(finding.title)} ({len(finding.cases):,})</h2>"
        f"<p>{escape(finding.meaning)}{rest}</p><div class=cases>{cases}</div>"
    )


def _case(case: Case, index: Index) -> str:
    labels = case.labels or [""] * len(case.paths)
    sounds = "".join(_sound(path, label, index) for path, label in zip(case.paths, labels, strict=True))
    kind = "case pair" if len(case.paths) > 1 else "case"
    return f"<div class='{kind}'><div class=detail>{escape(case.detail)}</div><div class=sounds>{sounds}</div></div>"


def _sound(path: str, label: str, index: Index) -> str:
    tag = f"<span class=label>{escape(label)}</span> " if label else ""
    caption = f"<figcaption>{tag}{escape(path)}</figcaption>"
    if not label:
        return f"<figure>{caption}</figure>"
    try:
        wave = load(
            index.root / path,
            sample_rate=SAMPLE_RATE,
            seconds=SECONDS,
            start="onset",
            padding="end",
            remove_dc=False,
            level="none",
        )
    except Unreadable:
        return f"<figure>{caption}</figure>"
    seconds = float(index.table.loc[index.table["path"] == path, "seconds"].iloc[0])
    wave = wave[: max(1, round(seconds * SAMPLE_RATE))]
    picture = f"<img alt='' src='data:image/png;base64,{_encoded(_png(wave))}'>"
    player = f"<audio controls preload=metadata src='data:audio/mpeg;base64,{_encoded(_mp3(wave))}'></audio>"
    return f"<figure>{caption}{picture}{player}</figure>"


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _mp3(wave: Waveform) -> bytes:
    # Some decoders give nothing for less than two frames.
    wave = np.pad(wave, (0, max(0, SAMPLE_RATE // 5 - len(wave))))
    file = io.BytesIO()
    soundfile.write(file, np.clip(wave, -1, 1), SAMPLE_RATE, format="MP3", subtype="MPEG_LAYER_III")
    return file.getvalue()


def _png(wave: Waveform) -> bytes:
    """A spectrogram, logarithmic in frequency from 40 Hz to 16 kHz, as wide as the wave is long."""
    centres = np.linspace(0, len(wave), WIDTH).astype(int)
    padded = np.pad(wave, N_FFT // 2)
    frames = padded[np.minimum(centres, len(wave) - 1)[:, None] + np.arange(N_FFT)]
    level = 20 * np.log10(np.abs(np.fft.rfft(frames * np.hanning(N_FFT), axis=1)) + 1e-9)
    rows = np.geomspace(HIGHEST, LOWEST, HEIGHT) * N_FFT / SAMPLE_RATE
    image = np.stack([np.interp(rows, np.arange(level.shape[1]), column) for column in level], axis=1)
    shade = np.clip(1 + (image - image.max()) / DECIBEL_RANGE, 0, 1)
    file = io.BytesIO()
    Image.fromarray(_coloured(shade)).save(file, "PNG")
    return file.getvalue()


def _coloured(shade: NDArray[np.float64]) -> NDArray[np.uint8]:
    places = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(shade, places, COLOURS[:, part]) for part in range(3)], axis=-1).astype(np.uint8)
