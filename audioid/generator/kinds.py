"""The kinds of sound, by name."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from audioid.generator import drums, metals, strings, synths, textures, tuned, voices, winds
from audioid.generator.takes import Takes


@dataclass(frozen=True)
class Kind:
    """A model of an instrument as it is built somewhere, and the label that a listener would give it."""

    label: str
    model: Callable[[Takes], Tensor]
    share: int = 1  # how often it comes up beside the others


KINDS: tuple[Kind, ...] = (
    Kind("kick", drums.acoustic_kick, share=6),
    Kind("kick", drums.electronic_kick, share=6),
    Kind("tom", drums.acoustic_tom, share=4),
    Kind("tom", drums.electronic_tom, share=4),
    Kind("tom", drums.synthesizer_tom, share=4),
    Kind("snare", drums.acoustic_snare, share=6),
    Kind("snare", drums.electronic_snare, share=6),
    Kind("snare", drums.synthesizer_snare, share=3),
    Kind("hand_drum", drums.hand_drum, share=2),
    Kind("rimshot", drums.rimshot, share=4),
    Kind("rimshot", drums.electronic_rimshot, share=4),
    Kind("clap", drums.clap, share=4),
    Kind("closed_hihat", metals.closed_hihat, share=4),
    Kind("closed_hihat", metals.electronic_closed_hihat, share=4),
    Kind("open_hihat", metals.open_hihat, share=4),
    Kind("open_hihat", metals.electronic_open_hihat, share=4),
    Kind("cymbal", metals.crash, share=4),
    Kind("cymbal", metals.ride, share=4),
    Kind("cymbal", metals.electronic_cymbal, share=4),
    Kind("cowbell", metals.cowbell, share=3),
    Kind("cowbell", metals.electronic_cowbell, share=3),
    Kind("tambourine", metals.tambourine, share=2),
    Kind("triangle", metals.triangle, share=2),
    Kind("shaker", metals.shaker, share=2),
    Kind("bar", tuned.xylophone),
    Kind("bar", tuned.marimba),
    Kind("bar", tuned.glockenspiel),
    Kind("bar", tuned.vibraphone),
    Kind("woodblock", tuned.woodblock),
    Kind("woodblock", tuned.claves),
    Kind("bell", tuned.church_bell),
    Kind("bell", tuned.handbell),
    Kind("bell", tuned.tubular_bell),
    Kind("bell", tuned.bowl),
    Kind("plucked_string", strings.guitar),
    Kind("plucked_string", strings.harp),
    Kind("plucked_string", strings.harpsichord),
    Kind("plucked_string", strings.pizzicato),
    Kind("plucked_string", strings.bass_guitar),
    Kind("piano", strings.piano),
    Kind("bowed_string", strings.violin),
    Kind("bowed_string", strings.cello),
    Kind("flute", winds.flute),
    Kind("flute", winds.whistle),
    Kind("reed", winds.clarinet),
    Kind("reed", winds.oboe),
    Kind("reed", winds.saxophone),
    Kind("brass", winds.trumpet),
    Kind("brass", winds.horn),
    Kind("organ", winds.organ),
    Kind("organ", winds.accordion),
    Kind("voice", voices.vowel_a),
    Kind("voice", voices.vowel_e),
    Kind("voice", voices.vowel_i),
    Kind("voice", voices.vowel_o),
    Kind("voice", voices.vowel_u),
    Kind("voice", voices.plosive),
    Kind("voice", voices.fricative),
    Kind("voice", voices.nasal),
    Kind("voice", voices.glide),
    Kind("synth_bass", synths.bass),
    Kind("synth_bass", synths.wobble),
    Kind("synth", synths.lead),
    Kind("synth", synths.pluck),
    Kind("synth", synths.pad),
    Kind("electric_piano", synths.electric_piano),
    Kind("bell", synths.fm_bell),
    Kind("effect", synths.zap),
    Kind("effect", synths.sweep),
    Kind("noise", textures.wind),
    Kind("noise", textures.rain),
    Kind("noise", textures.surf),
    Kind("noise", textures.crackle),
    Kind("engine", textures.engine),
    Kind("water", textures.drops),
    Kind("bird", textures.bird),
    Kind("guiro", textures.guiro),
    Kind("glass", textures.glass),
    Kind("knock", textures.knock),
)

# The places in `KINDS` as they take turns: each as often as its share, and all once before any comes again.
TURNS: tuple[int, ...] = tuple(
    place for turn in range(max(kind.share for kind in KINDS)) for place, kind in enumerate(KINDS) if kind.share > turn
)
