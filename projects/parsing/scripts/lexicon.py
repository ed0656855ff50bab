"""The words that sentences of this project are made of. Some are nouns and verbs."""

from dataclasses import dataclass
from typing import List

NOUNS = """
person: gardener neighbour teacher child/children woman/women driver baker doctor singer
person: thief/thieves painter uncle guest student man/men farmer nurse
person: waiter pilot cousin judge boy guard sailor
food: pie soup apple potato/potatoes cake salad egg sandwich/sandwiches tomato/tomatoes fish/fish
food: loaf/loaves pear pancake cheese sausage pudding leaf/leaves berry/berries
thing: fence door bench/benches wall table box/boxes roof window car boat plant shelf/shelves
thing: clock bag house letter book watch/watches light dish/dishes drink match/matches
place: garden kitchen market park school station forest village shop yard
place: cellar harbour valley library/libraries street factory/factories meadow attic
tool food: fork knife/knives spoon pan whisk/whisks ladle grater chopstick
tool thing: hammer brush/brushes rope sponge saw nail chisel cloth roller screw
tool person: telescope camera torch/torches binocular whistle lantern megaphone radio
of person: beard hat scarf/scarves moustache uniform stick umbrella limp cap coat ponytail tattoo
of food: cherry/cherries onion walnut raisin herb mushroom crust pepper olive almond seed
of thing: handle hinge lid scratch/scratches stripe label crack wheel pattern ribbon knob
"""

# lemma, past, participle, what it is done to ("-": nothing), whether a tool is likely
VERBS = """
eat ate eaten food tool
cook cooked cooked food tool
cut cut cut food tool
serve served served food tool
stir stirred stirred food tool
steal stole stolen food -
fry fried fried food tool
slice sliced sliced food tool
chew chewed chewed food -
paint painted painted thing tool
clean cleaned cleaned thing tool
break broke broken thing tool
mend mended mended thing tool
hammer hammered hammered thing tool
find found found thing -
carry carried carried thing tool
light lit lit thing tool
water watered watered thing -
move moved moved thing tool
polish polished polished thing tool
scrape scraped scraped thing tool
buy bought bought thing -
hide hid hidden thing -
see saw seen person tool
watch watched watched person tool
photograph photographed photographed person tool
follow followed followed person -
meet met met person -
call called called person tool
know knew known person -
spot spotted spotted person tool
greet greeted greeted person -
teach taught taught person -
sleep slept slept - -
walk walked walked - -
sing sang sung - -
fish fished fished - -
wait waited waited - -
park parked parked - -
rest rested rested - -
return returned returned - -
shout shouted shouted - -
"""

ADJECTIVES = """
old young happy tired tall small red heavy clean quiet empty broken warm light strange
rich careful green famous hungry lazy wet honest cheap
"""

ADVERBS = "often slowly quietly today always carefully rarely again"


@dataclass(frozen=True)
class Noun:
    """kind: What it is, or what it belongs to."""

    lemma: str
    plural: str
    kind: str


@dataclass(frozen=True)
class Verb:
    """object: The kind of noun that it is done to, "" for none.
    has_tool: Whether it is done with something."""

    lemma: str
    past: str
    participle: str
    object: str
    has_tool: bool

    @property
    def third(self) -> str:
        """As in "she walks"."""
        if self.lemma.endswith(("ch", "sh", "s", "x")):
            return self.lemma + "es"
        if self.lemma.endswith("y") and self.lemma[-2] not in "aeiou":
            return self.lemma[:-1] + "ies"
        return self.lemma + "s"


@dataclass(frozen=True)
class Lexicon:
    """All words."""

    nouns: List[Noun]
    verbs: List[Verb]
    adjectives: List[str]
    adverbs: List[str]

    def share(self, share: float) -> "Lexicon":
        """The first words of each kind of noun, of each kind of verb, and of adjectives."""
        nouns = _share(self.nouns, [noun.kind for noun in self.nouns], share)
        verbs = _share(self.verbs, [verb.object for verb in self.verbs], share)
        adjectives = _share(self.adjectives, [""] * len(self.adjectives), share)
        return Lexicon(nouns, verbs, adjectives, self.adverbs)


def _share(words: List, kinds: List[str], share: float) -> List:
    chosen = []
    for kind in dict.fromkeys(kinds):
        own = [word for word, other in zip(words, kinds, strict=True) if other == kind]
        chosen += own[: round(share * len(own))]
    return chosen


def read_lexicon() -> Lexicon:
    """All words above."""
    nouns = []
    for line in NOUNS.split("\n"):
        kind, _, words = line.partition(": ")
        for word in words.split():
            lemma, _, plural = word.partition("/")
            nouns.append(Noun(lemma, plural or lemma + "s", kind))
    verbs = []
    for row in filter(None, VERBS.split("\n")):
        lemma, past, participle, thing, tool = row.split()
        verbs.append(Verb(lemma, past, participle, thing.strip("-"), tool == "tool"))
    return Lexicon(nouns, verbs, ADJECTIVES.split(), ADVERBS.split())
