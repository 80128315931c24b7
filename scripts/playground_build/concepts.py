"""Which emoji show the same concept, so that a split never divides one.

An emoji of one of the families below has the family as its only key. Any
other has its name and its short names as keys, stripped of the words that
only vary a picture (gender, person, face, direction, color, size, number).
Emoji that share a key share a concept, and so do emoji that are linked
through a third one (union of sets). A family ends the search, since words
such as "open" or "heart" would otherwise link hundreds of unlike pictures.
"""

import hashlib
import re
from collections.abc import Iterable

LARGEST_HELD_OUT = 20

VARIANT_WORDS = frozenset(
    """
    man men woman women person people adult boy girl mans womans male
    female guy lady mr mrs mx mother father older old baby child face head
    nose and or with without of in on at to the a an from for by sign
    symbol mark emblem ornament left right up down top bottom leftwards
    rightwards upwards downwards north south east west front back facing
    pointing oncoming clockwise anticlockwise counterclockwise upper lower
    side horizontal vertical black white red blue green yellow orange
    purple brown grey gray pink golden light dark heavy bright high low
    large small medium big little long one two three four five six seven
    eight nine ten double multiple first second third 1 2 3 4 5 6 7 8 9
    open closed raised reversed
    """.split()  # noqa: SIM905 - readable as prose
)

# Families whose members are drawings of one thing under unlike names.
SUBCATEGORY_CONCEPTS = {
    "family": "family",
    "keycap": "keycap",
    "alphanum": "lettered square",
    "geometric": "geometric shape",
    "arrow": "arrow",
    "heart": "heart",
    "cat-face": "cat",
    "monkey-face": "monkey",
    "hand-single-finger": "pointing finger",
    "gender": "gender",
    "zodiac": "zodiac",
}
NAME_CONCEPTS = (
    (r"^clock face", "clock face"),
    (r"\bmoon (symbol|with face)|crescent moon", "moon"),
    (r"\bfamily\b|\bkiss\b|\bcouple\b|holding hands", "family"),
    (r"^hot dog$", "hot dog"),
    (r"\b(dog|poodle)\b", "dog"),
    (r"\bcat\b", "cat"),
    (r"\bmonkey\b", "monkey"),
    (r"\bcamel\b", "camel"),
    (r"\bchick(en)?\b|rooster", "chicken"),
    (r"\bwhale\b", "whale"),
    (r"\bbear face|polar bear", "bear"),
    (r"\bwater buffalo|\box\b|\bcow\b|bison", "cattle"),
    (r"\bpig\b|\bboar\b", "pig"),
    (r"\bram\b|\bsheep\b", "sheep"),
    (r"\bsquid\b|octopus", "octopus"),
    (r"\bmouse( face)?$(?<!computer mouse)|\brat\b", "mouse"),
    (r"\bcherry blossom|^blossom|white flower|rosette", "blossom"),
    (r"\b(evergreen|deciduous|leafless) tree", "tree"),
    (r"\bglobe\b", "globe"),
    (r"\bsmiling|\bgrinning|tears of joy|stuck-out tongue", "smile"),
    (r"\bkissing|throwing a kiss", "kissing"),
    (r"\bfrowning face|disappointed|worried|anguished|fearful", "frown"),
    (r"\bcrying face|face with open mouth$|astonished|hushed", "cry"),
    (r"\bcold sweat", "sweat"),
    (r"\bsun behind|\bcloud\b|black sun|sun with face", "sun and cloud"),
    (r"\bumbrella\b(?<!beach with umbrella)", "umbrella"),
    (r"\bsnowman\b", "snowman"),
    (r"\bstar\b", "star"),
    (r"\bsunset|sunrise|cityscape|night with stars|bridge", "city at dusk"),
    (
        r"\btrain\b|\btram\b|\brailway\b|metro|monorail|locomotive|rail\b",
        "train",
    ),
    (r"\bbus\b|minibus|trolleybus", "bus"),
    (r"\b(police car|taxi|automobile|recreational vehicle)", "car"),
    (r"\bairplane\b", "airplane"),
    (r"\bmailbox\b", "mailbox"),
    (r"\benvelope\b|e-mail", "envelope"),
    (r"\bspeaker\b", "speaker"),
    (r"\bbell( with|$)", "bell"),
    (r"\bnotes?$|musical score", "musical note"),
    (r"\bbooks?$|notebook|ledger", "book"),
    (r"\bmagnifying glass", "magnifying glass"),
    (r"\block\b", "lock"),
    (r"\bkey$", "key"),
    (r"\bbanknote\b|money with", "banknote"),
    (r"\bmedal\b", "medal"),
    (r"\bclock\b|watch", "clock"),
    (r"\bhourglass\b", "hourglass"),
    (r"\bcalendar\b", "calendar"),
    (r"\bchart\b", "chart"),
    (r"\bfolder\b|card index", "folder"),
    (r"\bpushpin\b", "pushpin"),
    (r"\bpaperclips?\b", "paperclip"),
    (r"\bmahjong|playing card|suit$", "card suit"),
    (r"\bcircled?\b|square\b|triangle\b|diamond\b", "geometric shape"),
    (r"\btriangle\b|arrows?\b", "arrow"),
    (r"\bquestion\b|exclamation", "question mark"),
    (r"\bcheck\b|cross mark|squared cross|multiplication", "check mark"),
    (r"\bbrightness\b", "brightness"),
    (r"\bfist\b|fisted", "fist"),
    (r"\bthumbs\b", "thumbs"),
    (r"\bpushing hand|wards hand|palm (up|down)|raised .*hand", "open hand"),
    (r"\bbust", "bust"),
    (r"^ear$|^ear with hearing", "ear"),
    (r"\beyes?$", "eye"),
    (r"\bchristmas$|claus", "christmas person"),
    (r"\bdanc|bunny ears", "dance"),
    (r"\brunn(er|ing)\b", "running"),
    (r"\bwalking\b|pedestrian", "walking"),
    (r"\bwheelchair\b", "wheelchair"),
    (r"\bwhite cane\b|probing cane", "white cane"),
    (r"\bbik(e|ing)\b|bicycl", "bicycle"),
    (r"\browing|rowboat", "rowing"),
    (r"\bweights\b", "weight lifting"),
    (r"\bwrestl", "wrestling"),
    (r"\bcartwheel", "cartwheel"),
    (r"\bmer(maid|man|person)", "merperson"),
    (r"\bguard(sman)?\b", "guard"),
    (r"\bgestur(e|ing) no|no good gesture", "gesture no"),
    (r"\bgestur(e|ing) ok|ok gesture|ok hand", "gesture ok"),
    (r"\btipping hand|information desk", "tipping hand"),
    (r"\bbow(ing|s) ?|bowing", "bowing"),
    (r"\braising", "raising hand"),
    (r"\bpouting", "pouting"),
    (r"\bfrowning$", "frowning person"),
    (r"\bface ?palm", "face palm"),
    (r"\b(turban|gua pi mao|headscarf)", "head covering"),
    (r"\bveil|tuxedo", "wedding clothes"),
    (r"\bprince(ss)?\b|with crown", "prince"),
    (
        r": .*hair|: bald|: beard|^bearded"
        r"|^(man|woman|adult|boy|girl|child|baby)$"
        r"|^older|person with blond",
        "portrait",
    ),
    (r"\bfeeding|breast", "feeding baby"),
    (r"\bpregnant", "pregnant"),
    (r"\bmassage", "massage"),
    (r"\bhaircut", "haircut"),
    (r"\bmail(box)?|postbox", "mailbox"),
    (r"\bhammer|\bpick$", "hammer"),
    (r"\bsword|dagger", "sword"),
    (r"\bchains?$", "chain"),
    (r"\bshoes?$|\bboots?$|\bsandal", "shoe"),
    (r"\bbag$|handbag|purse|pouch", "bag"),
    (r"\bclothes|dress$|kimono|sari$", "dress"),
    (r"\bswimsuit|bikini|briefs|shorts$", "swimwear"),
    (r"\bglasses$(?<!clinking glasses)|goggles", "eyeglasses"),
    (r"\bbeer|\bclinking", "clinking drinks"),
    (r"\bice cream", "ice cream"),
    (r"\bapple$(?<!pineapple)", "apple"),
    (r"\bmushroom", "mushroom"),
    (r"\bcamera|cinema", "camera"),
    (r"\btelephone|mobile phone", "telephone"),
    (r"\bdisc$|minidisc|dvd", "disc"),
    (r"\bbattery", "battery"),
    (r"\bmoai|moyai", "moyai"),
    (
        r"\bno .*(evil|phones|bicycles|pedestrians|smoking|entry|litter)"
        r"|no one under|non-potable|do not litter",
        "no sign",
    ),
    (r"\bheart\b", "heart"),
    (r"\bflower playing", "flower card"),
    (r"\bdragon", "dragon"),
    (r"\bmountain|mount ", "mountain"),
    (r"\b(post office|castle)", "castle and post office"),
    (r"\bhouses?\b|\bbuilding", "house"),
    (r"\brestroom|mens symbol|water closet|toilet", "toilet"),
    (r"\bluggage|baggage", "luggage"),
    (r"\btraffic light", "traffic light"),
    (r"\bscooter", "scooter"),
    (r"\bboat\b|speedboat|sailboat|\bship$|ferry", "boat"),
)


def stem(word: str) -> str:
    """Cut a few endings, so that `surfer` and `surfing` meet."""
    for ending in ("ing", "er", "ist", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def stripped(text: str) -> str:
    """Return a name without the words that only vary a picture."""
    words = re.findall(r"[a-z0-9’]+", text.lower())
    kept = [stem(word) for word in words if word not in VARIANT_WORDS]
    return " ".join(kept)


def keys(record: dict) -> set[str]:
    """Return every key that ties an emoji to its concept."""
    name = record["name"].lower()
    if record["category"] == "Flags":
        return {"flag " + name}
    if record["subcategory"] in SUBCATEGORY_CONCEPTS:
        return {SUBCATEGORY_CONCEPTS[record["subcategory"]]}
    for pattern, concept in NAME_CONCEPTS:
        if re.search(pattern, name):
            return {concept}
    texts = [name, *record["short_names"]]
    found = {key for key in map(stripped, texts) if len(key) > 2}
    return found or {"name " + name}


def group(
    records: list[dict], same_drawing: Iterable[tuple[int, int]] = ()
) -> list[str]:
    """Return the concept of each record: the first of its linked keys.

    Args:
        records: The emoji.
        same_drawing: Positions of two emoji that share a drawing.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            key = parent[key]
        return key

    def link(first: str, second: str) -> None:
        low, high = sorted((root(first), root(second)))
        parent[high] = low

    own = [sorted(keys(record)) for record in records]
    for linked in own:
        for key in linked[1:]:
            link(linked[0], key)
    for left, right in same_drawing:
        link(own[left][0], own[right][0])
    return [root(linked[0]) for linked in own]


def split_of(concept: str, size: int, seed: str = "keras-imp") -> str:
    """Return the split of a concept: 70/10/20 % by a seeded hash.

    Concepts with more pictures than `LARGEST_HELD_OUT` always train: one
    repeated thing would otherwise decide a test of a few hundred pictures.
    """
    if size > LARGEST_HELD_OUT:
        return "train"
    share = hashed(concept, seed)
    if share < 0.7:
        return "train"
    return "validation" if share < 0.8 else "test"


def hashed(text: str, seed: str = "keras-imp") -> float:
    """Return a number in [0, 1) that a text and a seed decide."""
    digest = hashlib.sha256(f"{seed}:{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
