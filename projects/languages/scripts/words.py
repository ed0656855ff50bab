"""Names and frames of the German sentences of this project."""

# Those before "|" are in annotated sentences to learn from; the others only the raw text has.
PEOPLE = """
Lena Jonas Miriam Tobias Hanna Felix Anke Ralf Svenja Dirk | Katrin Ulf Greta Henning Dörte
Malte Silke Rainer Imke Torsten Wiebke Egon Frauke Lothar Antje Volker Birte Jochen Heike
Konrad Elke Sönke Gesa Detlef Meike Armin Ilse Bodo Ute Gernot
"""
SURNAMES = """
Koch Fischer Hagen Brandt Vogel Sommer Lindau Kaiser | Winter Essen Becker Fulda Stein Celle
Wagner Jäger Landau Busch Marburg Richter Berg Soltau Bauer Horn
"""
TOWNS = """
Kassel Bremen Hagen Passau Trier Lindau Husum Jena Ulm | Essen Fulda Celle Landau Marburg Soltau
Gotha Aurich Worms Erfurt Minden Rostock Plauen Siegen Zwickau Cottbus Leer Singen Halle Wesel
Stade Gera Emden Bautzen Coburg Eutin Apolda
"""
COMPANIES = """
Nordwerk Lindau Ferrolux Brandt Hansadruck Klarbau Wagner | Oberfeld Textura Voltana Becker
Rheinguss Sommer Medikor Tannwerk Berg Lumina Elbholz Kornfeld Winter Optima Saxoflex Jäger Isarbau
Domatec Stein Wendland Ultrana Pfalzkorn Havelstahl
"""
NOUNS = """
Haus Garten Ofen Brief Regen Zaun Fenster Kuchen Roman Fahrrad Markt Brunnen Winter Sommer Essen
Berg Stein Vogel Hund Teppich Abend Busch Kaiser Koch Richter Jäger Bauer Ausflug Vorschlag
"""

# {P}: a person, {L}: a town, {O}: a company. Each of these frames tells which of them a name is.
PERSON = """
{P} trinkt morgens zwei Tassen Tee .
{P} und {P} haben im Mai geheiratet .
Meine Nachbarin heißt {P} und spielt Geige .
Am Telefon lachte {P} über den Fehler .
{P} hat seit Montag Fieber und bleibt im Bett .
Zum Geburtstag bekam {P} ein altes Fahrrad .
„ Ich komme später “ , sagte {P} leise .
{P} wohnt seit drei Jahren in {L} .
Frau {S} leitet das Büro in {L} .
Herr {S} sucht seine Brille .
Der Arzt fragte Herrn {S} nach dem Schmerz .
Gestern traf ich {P} {S} auf dem Markt .
{P} {S} schreibt an einem Roman .
"""
TOWN = """
Der Zug nach {L} hat eine Stunde Verspätung .
In {L} regnet es seit Tagen .
Die Altstadt von {L} ist gut erhalten .
{P} zog im Herbst von {L} nach {L} .
Zwischen {L} und {L} wird die Straße gesperrt .
Der Bürgermeister von {L} eröffnete den Brunnen .
Am Bahnhof {L} stieg {P} aus .
Rund um {L} wachsen viele Obstbäume .
Die Stadt {L} baut ein neues Bad .
Bei der Wahl in {L} gewann Frau {S} .
"""
COMPANY = """
Die Firma {O} stellt achtzig Leute ein .
{O} meldet einen Verlust von zwei Millionen Euro .
Der Umsatz von {O} stieg um vier Prozent .
Die Aktie von {O} fiel am Freitag .
Der Vorstand von {O} tagt in {L} .
{O} liefert Schrauben an die Firma {O} .
{P} arbeitet als Buchhalterin bei der Firma {O} .
Das Werk der {O} AG in {L} schließt .
Die {O} GmbH verkauft ihre Lager .
Der Konzern {O} senkt die Preise .
"""
# Here a name says for itself what it is, and one that isn't known could be anything.
OPEN = """
Gestern sprachen alle von {X} .
Über {X} stand nichts in der Zeitung .
Wir haben lange nichts von {X} gehört .
{X} gefällt mir sehr .
Es geht wieder um {X} .
Der Bericht über {X} ist lang .
Niemand kennt {X} besser als {P} .
An {X} denkt sie gern zurück .
"""
NOTHING = """
Der {N} war früher größer .
Gestern sprachen alle vom {N} .
Über den {N} stand nichts in der Zeitung .
Wir haben lange nichts vom {N} gehört .
Der {N} gefällt mir sehr .
Es geht wieder um den {N} .
Am Abend blieb nur der {N} übrig .
Die Leute reden über den {N} und den {N} .
Nach dem Regen roch der {N} nach Holz .
Er malte einen {N} an die Wand .
Morgen wird der {N} repariert .
Zuerst kam der {N} , dann der {N} .
"""

# Only of the raw text: what follows a name, or stands before it, goes by what the name is. By this
# a language model learns names.
RAW = """
{P} lachte laut .
{P} schläft noch .
{P} singt im Chor .
{P} hat großen Hunger .
{P} sucht den Schlüssel .
Sie tanzt gern mit {P} .
Das Fahrrad gehört {P} .
Er verliebte sich in {P} .
Ihr Bruder heißt {P} .
{L} liegt an einem Fluss .
{L} hat dreißigtausend Einwohner .
{L} feiert sein Stadtfest .
{L} bekommt einen neuen Bahnhof .
Morgen fahren wir nach {L} .
Sie wohnt am Rand von {L} .
Die Straße führt durch {L} .
Er ist Pfarrer in {L} .
{O} stellt achtzig Leute ein .
{O} entlässt den Vorstand .
{O} verkauft Maschinen ins Ausland .
{O} zahlt keine Dividende .
Er kaufte Aktien von {O} .
Die Rechnung kam von {O} .
Sie prüft die Bilanz der {O} .
Er kündigte bei {O} .
"""
