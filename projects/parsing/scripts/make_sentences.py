"""Write the sentences of this project and their trees, by a small grammar: CoNLL-U. What comes out
lies in assets/garden; there is no need to run this, but a place to make sentences of your own."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import List, Optional, TypeVar

import typer
from lexicon import Lexicon, Noun, Verb, read_lexicon

PARTS = {"train": 400, "dev": 100, "test": 150}
Thing = TypeVar("Thing")
HELD_OUT = 0.4  # share of nouns, verbs and adjectives that only dev and test have


@dataclass
class Node:
    """A word and those that depend on it: some before it, some after it."""

    form: str
    lemma: str
    upos: str
    xpos: str
    feats: str = "_"
    relation: str = "root"
    before: List["Node"] = field(default_factory=list)
    after: List["Node"] = field(default_factory=list)

    def as_(self, relation: str) -> "Node":
        """The same, as something of the word above it."""
        self.relation = relation
        return self

    def words(self) -> Iterator["Node"]:
        """All words, in the order of the sentence."""
        for node in self.before:
            yield from node.words()
        yield self
        for node in self.after:
            yield from node.words()


class Grammar:
    """Makes sentences at random.

    lexicon: Its words.
    """

    def __init__(self, lexicon: Lexicon, seed: int) -> None:
        self.lexicon, self.random = lexicon, random.Random(seed)

    def sentence(self) -> Node:
        """A tree with a full stop or a question mark."""
        chance = self.random.random()
        if chance < 0.1:
            root, mark = self.question(), "?"
        elif chance < 0.2:
            root, mark = self.copula(), "."
        elif chance < 0.3:
            root, mark = self.passive(), "."
        else:
            root, mark = self.clause(), "."
            if self.random.random() < 0.25:
                self.join(root)
            elif self.random.random() < 0.25:
                self.subordinate(root)
        root.after.append(Node(mark, mark, "PUNCT", ".", "_", "punct"))
        return root

    def clause(self, subject: Optional[Node] = None, bare: bool = False) -> Node:
        """Subject, verb, object, and perhaps where or by what."""
        verb = self.pick(self.lexicon.verbs)
        if bare:
            head = Node(verb.lemma, verb.lemma, "VERB", "VB", "VerbForm=Inf")
        else:
            plural = self.random.random() < 0.35
            subject = self.noun_phrase(plural, "nsubj", heavy=self.random.random() < 0.15)
            head = self.finite(verb, plural)
            head.before.append(subject)
        if verb.object:
            plain = self.random.random() < 0.6
            thing = self.noun_phrase(self.coin(0.3), "obj", of=verb.object)
            head.after.append(thing)
            if not plain:
                self.with_something(head, thing, verb)
        elif self.coin(0.8):
            head.after.append(self.place("obl"))
        if self.coin(0.2):
            word = self.pick(self.lexicon.adverbs)
            adverb = Node(word, word, "ADV", "RB", "_", "advmod")
            if self.coin(0.4):
                head.before.append(adverb)
            else:
                head.after.append(adverb)
        return head

    def with_something(self, head: Node, thing: Node, verb: Verb) -> None:
        """What only meaning decides: one eats a pie with a fork, or a pie with cherries."""
        tools = [noun for noun in self.lexicon.nouns if noun.kind == f"tool {verb.object}"]
        features = [noun for noun in self.lexicon.nouns if noun.kind == f"of {verb.object}"]
        if verb.has_tool and self.coin(0.5):
            phrase = self.noun_phrase(self.coin(0.1), "obl", noun=self.pick(tools), light=True)
            head.after.append(phrase)
        elif features:
            phrase = self.noun_phrase(self.coin(0.4), "nmod", noun=self.pick(features), light=True)
            thing.after.append(phrase)
        else:
            head.after.append(self.place("obl"))
            return
        phrase.before.insert(0, Node("with", "with", "ADP", "IN", "_", "case"))

    def copula(self) -> Node:
        """Something is so."""
        plural = self.coin(0.3)
        word = self.pick(self.lexicon.adjectives)
        head = Node(word, word, "ADJ", "JJ", "Degree=Pos")
        head.before += [
            self.noun_phrase(plural, "nsubj", heavy=self.coin(0.4)),
            self.be(plural, "cop"),
        ]
        if self.coin(0.4):
            head.before.append(Node("very", "very", "ADV", "RB", "_", "advmod"))
        return head

    def passive(self) -> Node:
        """Something is done, perhaps by somebody."""
        verb = self.pick([verb for verb in self.lexicon.verbs if verb.object])
        plural = self.coin(0.4)
        head = Node(verb.participle, verb.lemma, "VERB", "VBN", "Tense=Past|VerbForm=Part")
        subject = self.noun_phrase(plural, "nsubj:pass", of=verb.object)
        head.before += [subject, self.be(plural, "aux:pass")]
        if self.coin(0.6):
            agent = self.noun_phrase(self.coin(0.3), "obl:agent", of="person")
            agent.before.insert(0, Node("by", "by", "ADP", "IN", "_", "case"))
            head.after.append(agent)
        return head

    def question(self) -> Node:
        """Did somebody do something?"""
        head = self.clause(bare=True)
        plural = self.coin(0.4)
        did = Node("did", "do", "AUX", "VBD", "Mood=Ind|Tense=Past|VerbForm=Fin", "aux")
        head.before[:0] = [did, self.noun_phrase(plural, "nsubj")]
        return head

    def join(self, root: Node) -> None:
        """And something else."""
        other = self.clause().as_("conj")
        word = self.pick(["and", "but"])
        other.before.insert(0, Node(word, word, "CCONJ", "CC", "_", "cc"))
        other.before.insert(0, Node(",", ",", "PUNCT", ",", "_", "punct"))
        root.after.append(other)

    def subordinate(self, root: Node) -> None:
        """When or because something else."""
        word = self.pick(["when", "because", "while"])
        other = self.clause().as_("advcl")
        upos, xpos, relation = (
            ("ADV", "WRB", "advmod") if word == "when" else ("SCONJ", "IN", "mark")
        )
        other.before.insert(0, Node(word, word, upos, xpos, "_", relation))
        if self.coin(0.5):
            root.after.append(other)
        else:
            other.after.append(Node(",", ",", "PUNCT", ",", "_", "punct"))
            root.before.insert(0, other)

    def noun_phrase(
        self,
        plural: bool,
        relation: str,
        of: str = "person",
        noun: Optional[Noun] = None,
        light: bool = False,
        heavy: bool = False,
    ) -> Node:
        """of: The kind of noun.
        light: Without further phrases.
        heavy: With a relative clause."""
        noun = noun or self.pick([noun for noun in self.lexicon.nouns if noun.kind == of])
        form, xpos, feats = (
            (noun.plural, "NNS", "Number=Plur") if plural else (noun.lemma, "NN", "Number=Sing")
        )
        head = Node(form, noun.lemma, "NOUN", xpos, feats, relation)
        head.before.append(self.determiner(plural))
        if self.coin(0.3):
            word = self.pick(self.lexicon.adjectives)
            head.before.append(Node(word, word, "ADJ", "JJ", "Degree=Pos", "amod"))
        if not light and self.coin(0.12):
            head.after.append(self.place("nmod"))
        if heavy:
            verb = self.pick([verb for verb in self.lexicon.verbs if verb.object])
            clause = self.finite(verb, plural).as_("acl:relcl")
            clause.before.append(Node("who", "who", "PRON", "WP", "PronType=Rel", "nsubj"))
            clause.after.append(self.noun_phrase(self.coin(0.3), "obj", of=verb.object, light=True))
            head.after.append(clause)
        return head

    def place(self, relation: str) -> Node:
        """In the garden."""
        places = [noun for noun in self.lexicon.nouns if noun.kind == "place"]
        head = self.noun_phrase(self.coin(0.15), relation, noun=self.pick(places), light=True)
        word = self.pick(["in", "near", "behind", "from"])
        head.before.insert(0, Node(word, word, "ADP", "IN", "_", "case"))
        return head

    def determiner(self, plural: bool) -> Node:
        """An article, or whose it is."""
        if self.coin(0.2):
            word, lemma = self.pick([("my", "my"), ("his", "his"), ("their", "their")])
            return Node(word, lemma, "PRON", "PRP$", "Poss=Yes|PronType=Prs", "nmod:poss")
        if plural and self.coin(0.4):
            word = self.pick(["some", "many"])
            upos, xpos = ("DET", "DT") if word == "some" else ("ADJ", "JJ")
            return Node(word, word, upos, xpos, "_", "det" if word == "some" else "amod")
        if plural or self.coin(0.7):
            return Node("the", "the", "DET", "DT", "Definite=Def|PronType=Art", "det")
        return Node("a", "a", "DET", "DT", "Definite=Ind|PronType=Art", "det")

    def finite(self, verb: Verb, plural: bool) -> Node:
        """A verb in the present or the past."""
        if self.coin(0.5):
            feats = "Mood=Ind|Tense=Past|VerbForm=Fin"
            return Node(verb.past, verb.lemma, "VERB", "VBD", feats)
        number = "Plur" if plural else "Sing"
        feats = f"Mood=Ind|Number={number}|Person=3|Tense=Pres|VerbForm=Fin"
        form, xpos = (verb.lemma, "VBP") if plural else (verb.third, "VBZ")
        return Node(form, verb.lemma, "VERB", xpos, feats)

    def be(self, plural: bool, relation: str) -> Node:
        """Is, are, was or were."""
        past = self.coin(0.5)
        form = {(0, 0): "is", (0, 1): "are", (1, 0): "was", (1, 1): "were"}[past, plural]
        xpos = "VBD" if past else "VBP" if plural else "VBZ"
        feats = (
            f"Mood=Ind|Number={'Plur' if plural else 'Sing'}|Person=3|"
            f"Tense={'Past' if past else 'Pres'}|VerbForm=Fin"
        )
        return Node(form, "be", "AUX", xpos, feats, relation)

    def coin(self, chance: float) -> bool:
        """True with this chance."""
        return self.random.random() < chance

    def pick(self, things: List[Thing]) -> Thing:
        """One of them."""
        return self.random.choice(things)


def to_conllu(root: Node, name: str) -> str:
    """A sentence as CoNLL-U, its first word with a capital."""
    words = list(root.words())
    places = {id(word): i for i, word in enumerate(words, start=1)}
    heads = {id(child): places[id(w)] for w in words for child in (*w.before, *w.after)}
    lines = []
    for i, word in enumerate(words, start=1):
        form = word.form.capitalize() if i == 1 else word.form
        if form == "a" and words[i].form[0] in "aeiou":
            form = "an"
        if form == "A" and words[i].form[0] in "aeiou":
            form = "An"
        glued = i < len(words) and words[i].upos == "PUNCT"
        columns = [i, form, word.lemma, word.upos, word.xpos, word.feats, heads.get(id(word), 0)]
        columns += [word.relation, "_", "SpaceAfter=No" if glued else "_"]
        lines.append("\t".join(map(str, columns)))
    text = ""
    for line in lines:
        text += line.split("\t")[1] + ("" if line.endswith("SpaceAfter=No") else " ")
    return "\n".join([f"# sent_id = {name}", f"# text = {text.strip()}", *lines, "", ""])


def main(output: Path = typer.Argument(..., help="Folder for the files")) -> None:
    """Write train.conllu, dev.conllu and test.conllu; no sentence is twice among them."""
    lexicon = read_lexicon()
    seen = set()
    for i, (part, n) in enumerate(PARTS.items()):
        known = lexicon.share(1 - HELD_OUT) if part == "train" else lexicon
        grammar = Grammar(known, seed=i)
        sentences: List[str] = []
        while len(sentences) < n:
            root = grammar.sentence()
            text = " ".join(word.form for word in root.words())
            if text not in seen:
                seen.add(text)
                sentences.append(to_conllu(root, f"garden-{part}-{len(sentences) + 1}"))
        output.mkdir(parents=True, exist_ok=True)
        (output / f"{part}.conllu").write_text("".join(sentences), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
