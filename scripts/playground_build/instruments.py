"""Which recording of the sound font belongs to which instrument and family.

A recording belongs to the first row whose pattern matches its name in the
font. The names of the instruments are those of the font's own instrument
table, spelled out; the families follow the General MIDI groups. Left out are
waveforms of synthesizers (not recordings), effects, and cymbals and small
percussion, of which too few sound alike to hold some out.
"""

import re

# (pattern on the start of the recording's name, instrument, family).
INSTRUMENTS = (
    (r"(Mellow )?P200", "grand piano", "keyboard"),
    (r"Electric Piano", "electric piano", "keyboard"),
    (r"EP 2", "digital electric piano", "keyboard"),
    (r"Rhodes", "rhodes piano", "keyboard"),
    (r"Clavinet", "clavinet", "keyboard"),
    (r"Harpsichord", "harpsichord", "keyboard"),
    (r"Church Organ", "church organ", "organ"),
    (r"B3 ", "percussive organ", "organ"),
    (r"Rock Organ", "rock organ", "organ"),
    (r"reed organ", "reed organ", "organ"),
    (r"Drawbar Organ", "drawbar organ", "organ"),
    (r"Accordian", "accordion", "organ"),
    (r"Nylon", "nylon guitar", "guitar"),
    (r"Steel [A-G]", "steel string guitar", "guitar"),
    (r"Jazz Guitar", "jazz guitar", "guitar"),
    (r"Clean F", "clean electric guitar", "guitar"),
    (r"PalmMuted", "palm muted guitar", "guitar"),
    (r"Distortion", "distortion guitar", "guitar"),
    (r"Harmonics", "guitar harmonics", "guitar"),
    (r"Acoustic Bass", "acoustic bass", "bass"),
    (r"Slap Bass", "slap bass", "bass"),
    (r"Pop ", "pop bass", "bass"),
    (r"Fretless", "fretless bass", "bass"),
    (r"Picked Bass", "picked bass", "bass"),
    (r"Finger Bass", "fingered bass", "bass"),
    (r"SB2", "synth bass", "bass"),
    (r"Harp ", "harp", "plucked"),
    (r"Banjo", "banjo", "plucked"),
    (r"sitar", "sitar", "plucked"),
    (r"Shamisen", "shamisen", "plucked"),
    (r"Koto", "koto", "plucked"),
    (r"dulci", "dulcimer", "plucked"),
    (r"Pizz", "pizzicato strings", "plucked"),
    (r"Violin", "violin", "strings"),
    (r"Viola", "viola", "strings"),
    (r"Cello", "cello", "strings"),
    (r"Bass [A-G]", "double bass", "strings"),
    (r"Strings", "string ensemble", "strings"),
    (r"Alto", "alto saxophone", "reed"),
    (r"Tenor", "tenor saxophone", "reed"),
    (r"Baritone", "baritone saxophone", "reed"),
    (r"Soprano", "soprano saxophone", "reed"),
    (r"Clarinet", "clarinet", "reed"),
    (r"Oboe", "oboe", "reed"),
    (r"English Horn", "english horn", "reed"),
    (r"E's Bassoon", "bassoon", "reed"),
    (r"Shenai", "shenai", "reed"),
    (r"Bagpipe", "bagpipe", "reed"),
    (r"harm(on|nc)_", "harmonica", "reed"),
    (r"Flute", "flute", "flute"),
    (r"Piccolo [A-G]", "piccolo", "flute"),
    (r"pan flute", "pan flute", "flute"),
    (r"Recorder", "recorder", "flute"),
    (r"Ocar", "ocarina", "flute"),
    (r"shakhchi", "shakuhachi", "flute"),
    (r"whistle", "whistle", "flute"),
    (r"Calliope", "calliope", "flute"),
    (r"Bottle Chiff", "blown bottle", "flute"),
    (r"tp_", "trumpet", "brass"),
    (r"Muted [A-G]", "muted trumpet", "brass"),
    (r"trombone", "trombone", "brass"),
    (r"Tuba", "tuba", "brass"),
    (r"French Horns", "french horn", "brass"),
    (r"Brass Section", "brass section", "brass"),
    (r"Sbrass", "synth brass", "brass"),
    (r"Ahh Choir", "ahh choir", "choir"),
    (r"Ohh Voices", "ooh choir", "choir"),
    (r"SynthVz", "synth voice", "choir"),
    (r"solo_vox", "solo voice", "choir"),
    (r"Glocken", "glockenspiel", "mallet"),
    (r"Celesta", "celesta", "mallet"),
    (r"Music Box", "music box", "mallet"),
    (r"Vibraphone", "vibraphone", "mallet"),
    (r"Marimba", "marimba", "mallet"),
    (r"Xylophone", "xylophone", "mallet"),
    (r"Tubular Bells", "tubular bells", "mallet"),
    (r"Kalimba", "kalimba", "mallet"),
    (r"Steel Drum", "steel drum", "mallet"),
    (r"tinker bell", "tinker bell", "mallet"),
    (r"Timpani", "timpani", "drum"),
    (r".*Taiko", "taiko drum", "drum"),
    (r"808 Kick|Elec Kick", "electronic bass drum", "drum"),
    (
        r"Std Kick|Power (Kick|Bass Drum)|Room Kick|Orch Bass",
        "bass drum",
        "drum",
    ),
    (r"808 Tom|Elect", "electronic tom", "drum"),
    (r"808 Snare", "electronic snare drum", "drum"),
    (
        r"Std Snr|Snr |Power Snare|RmPwr|Orch Snare|Piccolo 1",
        "snare drum",
        "drum",
    ),
    (r"Brush", "brushed snare drum", "drum"),
    (r"Tom |.* Studio|Flr Studio", "tom drum", "drum"),
    (r"56_(4|5|60)", "marching snare drum", "drum"),
    (r"57_", "marching bass drum", "drum"),
    (r"55_", "marching tenor drum", "drum"),
)

FAMILY_OF = {instrument: family for _, instrument, family in INSTRUMENTS}

NOTE = re.compile(r"([A-Ga-g])(#|b)? ?\d")


def classify(name: str) -> tuple[str, str] | None:
    """Return (instrument, family) of a recording, or None."""
    for pattern, instrument, family in INSTRUMENTS:
        if re.match(pattern, name):
            return instrument, family
    return None


def note(name: str, instrument: str, family: str) -> str | None:
    """Return the pitch class in a recording's name, such as `C sharp`.

    The clean guitar is named by string and fret, so its notes stay unknown.
    """
    if instrument == "clean electric guitar":
        return None
    pattern, *_ = (row[0] for row in INSTRUMENTS if re.match(row[0], name))
    start = re.match(pattern.replace(" [A-G]", " ?"), name)
    return note_after(name, start.end() if start else 0, family)


def note_after(name: str, start: int, family: str) -> str | None:
    """Return the pitch class named from a position on; drums have none.

    Octaves are left out: fonts count them differently from instrument to
    instrument.
    """
    found = NOTE.search(name, start)
    if family == "drum" or found is None:
        return None
    sign = {"#": " sharp", "b": " flat", None: ""}[found.group(2)]
    return found.group(1).upper() + sign
