"""The page itself: a tab for one sound, one for many, one for a long recording."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from audioid.data.audio import Unreadable
from audioid.errors import AudioidError
from audioid.identification.page.uploads import LARGEST, LONGEST, MOST_FILES, Upload, Uploads
from audioid.identification.page.views import (
    HITS,
    Asked,
    failed,
    known,
    least_window,
    long_sound,
    many_sounds,
    note,
    one_sound,
)

logger = logging.getLogger(__name__)

# Fonts of the system: none is fetched.
THEME = gr.themes.Default(primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
CSS = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
LIMITS = (
    f"At most {LARGEST / 2**20:g} MiB and {LONGEST / 60:g} minutes a file; what is sent is deleted once it is answered."
)
WINDOWS = "windows of one length"
FORMER = "The answer below is of a setting that has been changed since. Drop the recording again for another."
MOST_WAITING = 20  # questions
PROGRESS = gr.Progress()  # Gradio gives each question its own where this is the default
PRIVATE: dict[str, Any] = {"api_visibility": "private"}  # programs ask `audioid.load_model`


def layout(asked: Asked, uploads: Uploads) -> gr.Blocks:
    """The page on which `asked` answers what comes to `uploads`; one question at a time, since all take all cores."""
    clip = asked.model.audio["seconds"]
    least = least_window(asked.model)
    with gr.Blocks(title="audioid", analytics_enabled=False) as page:
        gr.Markdown("# What is this sound?")
        gr.HTML(known(asked), js_on_load=None)
        with gr.Tab("One sound"):
            with gr.Row():  # `gr.Audio` takes a sound as well, but not of every format
                sound = gr.File(label="Drop a sound", height=160, elem_id="sound")
                microphone = gr.Audio(
                    sources=["microphone"], editable=False, label="or record one", elem_id="microphone"
                )
            gr.Markdown(LIMITS)
            answer = gr.HTML(js_on_load=None)
        with gr.Tab("Many"):
            files = gr.File(file_count="multiple", label=f"Drop up to {MOST_FILES} sounds", height=160, elem_id="files")
            gr.Markdown(LIMITS)
            table = gr.HTML(js_on_load=None)
        with gr.Tab("Timeline"):
            how = gr.Radio([HITS, WINDOWS], value=HITS, label="What gets a name")
            with gr.Row(visible=False) as lengths:
                window = gr.Slider(least, clip, value=clip, step=0.01, label="Windows of so many seconds")
                hop = gr.Slider(least, clip, value=max(least, clip / 4), step=0.01, label="One every so many seconds")
            recording = gr.File(label="Drop a long recording", height=160, elem_id="recording")
            gr.Markdown(LIMITS)
            former = gr.HTML(js_on_load=None)
            heard = gr.HTML(js_on_load=None)

        def one(sent: object) -> tuple[None, str]:
            return None, _answered(uploads, [sent], lambda found: one_sound(asked, found[0]))

        def many(sent: object, progress: gr.Progress = PROGRESS) -> tuple[None, str]:
            every = sent if isinstance(sent, list) else [sent]
            return None, _answered(uploads, every, lambda found: many_sounds(asked, found, progress))

        def long(
            sent: object, how: object, window: object, hop: object, progress: gr.Progress = PROGRESS
        ) -> tuple[None, str, str]:
            def view(found: Sequence[Upload]) -> str:
                return long_sound(asked, found[0], by_hits=how != WINDOWS, window=window, hop=hop, told=progress)

            return None, _answered(uploads, [sent], view), ""

        # As browsers sent it (`preprocess=False`): Gradio would copy it, and forget what it is called.
        raw: dict[str, Any] = {"preprocess": False, "concurrency_id": "model", "concurrency_limit": 1} | PRIVATE
        sound.upload(one, sound, [sound, answer], **raw)
        microphone.stop_recording(one, microphone, [microphone, answer], **raw)
        files.upload(many, files, [files, table], **raw)
        shown_on = [recording, heard]  # the bar has no room at `former`
        recording.upload(long, [recording, how, window, hop], [*shown_on, former], show_progress_on=shown_on, **raw)
        how.change(lambda how: gr.Row(visible=how == WINDOWS), how, lengths, show_progress="hidden", **PRIVATE)
        told = json.dumps(note(FORMER))
        for setting in (how, window, hop):  # in the browser alone
            setting.change(None, heard, former, js=f"answer => answer ? {told} : ''", **PRIVATE)
    page.queue(max_size=MOST_WAITING)
    return page


def _answered(uploads: Uploads, sent: Sequence[object], view: Callable[[Sequence[Upload]], str]) -> str:
    """What `view` makes of what was sent, which is then deleted; or a line that says why there is nothing."""
    names: list[str] = []
    try:
        if sent == [None]:
            return ""
        with uploads.taken(sent) as found:
            names = [each.name for each in found]
            return view(found)
    except Unreadable as error:
        return failed(f"{names[0]}: {error.reason}")
    except AudioidError as error:
        return failed(str(error).removeprefix("--"))  # what is an option of a command is a field here
    except Exception:  # whatever a sound does, the page stays
        logger.exception("%s", names)
        return failed("This could not be answered; the terminal in which the page was started says why.")
