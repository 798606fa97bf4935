"""German."""

# ruff: noqa: E501  (patterns)

from memory.learning.languages.base import Language, words

_ALWAYS = "immer|nie|niemals|stets|grundsätzlich nie|grundsätzlich immer"
# What follows "immer" and "nie" in a report of what goes wrong.
_STATES = (
    "noch|wieder|mehr|dasselbe|derselbe|dieselbe|dieselben|das gleiche|der gleiche|die gleiche|"
    "gesehen|gehört|gehabt|wenn|öfter|besser|schlechter|langsamer|häufiger|da|so|diese[rsnm]?|ein|im leben"
)
_CUSTOMS = (
    "verwenden|nutzen|benutzen|schreiben|committen|deployen|mergen|speichern|nehmen|benennen|nennen|"
    "legen|arbeiten|testen|prüfen|veröffentlichen|pushen|rebasen|squashen|formatieren|antworten|"
    "sprechen|duzen|siezen|loggen|versionieren|übersetzen|runden|kürzen|dokumentieren|reviewen|"
    "halten|setzen|stellen|geben|löschen|ändern|fragen|machen|bauen"
)
# First words that end as an imperative does and are none.
_NO_VERBS = (
    "habe|hatte|bekomme|kriege|sehe|finde|verstehe|erhalte|brauche|würde|könnte|sollte|müsste|"
    "möchte|wollte|konnte|wurde|wäre|die|diese|eine|keine|alle|jede|seine|meine|deine|unsere|"
    "heute|ohne|gerade|leider|danke|bitte|warte|hänge|scheitere|laufe|lande|stoße|viele|manche|"
    "solche|welche|wie|sie|gehe|komme|zeige|blende|lade"
)

GERMAN = Language(
    name="de",
    opener=words(
        r"(?:(?:bitte|ok(?:ay)?|so|und|aber|auch|ja|nein|nee|gut|super|prima|danke|hallo|hi|hey|also|"
        r"übrigens|nebenbei|ps|nb|wichtig|ganz wichtig|hinweis|achtung|noch was|noch etwas|"
        r"noch eins|eins noch|kurz|zur info|nur zur info|generell|allgemein|grundsätzlich|"
        r"in diesem (?:projekt|repo)|regel|genau|passt|dann|jetzt|nochmal|eigentlich)\b[\s,:;.!–—-]*)"
    ),
    clause=words(r"(?:,|;|\.|:)? +(?:und|aber|also|daher|deshalb)(?: bitte)? +|; +| +[–—-]+ +"),
    remember=words(
        r"(?:(?:merke?(?: dir| euch)?|merkt euch|merken(?: sie sich)?|denke?(?: immer| bitte| auch)? (?:daran|dran)|"
        r"denkt (?:daran|dran)|vergiss(?: bitte)? nicht|vergesst nicht|beachten?(?: sie)?|bedenke?|"
        r"behalte? (?:bitte )?im (?:kopf|hinterkopf)|notiere?(?: dir)?|halte? fest|wisse|"
        r"du musst wissen|zur erinnerung|nimm (?:bitte )?zur kenntnis)(?: bitte| auch| noch)?"
        r"(?: (?:folgendes|das folgende|für (?:später|das nächste mal|die zukunft)))?"
        r"(?:,? dass\b|:)"
        r"|ich erinnere (?:dich|euch|sie) (?:daran|dran),? dass\b"
        r"|(?:wichtig )?für(?:s| das) nächste mal[:,]|für (?:später|die zukunft)[:,]|"
        r"zur (?:info für später|erinnerung)[:,])[\s,:]*"
    ),
    keeps=words(r"[^:]*\bdass\b"),
    instruct=words(
        r"(?:(?:wenn|bevor|nachdem|sobald|bei|beim|für|in|im|vor|nach|jedes mal,? wenn) "
        r"[^,;:?]{2,90}, (?:bitte )?)?"
        # Immer erst testen. Bitte nie X öffnen.
        rf"(?:(?:{_ALWAYS}) (?!(?:{_STATES})\b)(?:[^,;:?!.]+ )?[a-zäöüß]*(?<!\bkein)(?:en|eln|ern)"
        r"(?= *(?:[,.;!(]|$|oder\b|und\b|bevor\b|wenn\b|statt\b))"
        # Benutze immer X.
        rf"|(?!(?:{_NO_VERBS})\b)(?:[a-zäöüß]{{2,}}e|nimm|gib|lies|sieh|sprich|vergiss|lass|mach|"
        r"schreib|nutz|frag|prüf|sag|halt|sei|geh|bau|pack|setz|stell|leg|nenn|zeig mir|führ|schick|"
        r"benutz|verwend|lösch|speicher|formatier|commit|committ|push|merg|test|änder|ruf|gebrauch|"
        r"verwenden sie|nutzen sie|fragen sie)"
        r"(?: (?:mich|mir|uns|bitte|dabei|dafür|hier|dort|sie|es|den|die|das|dem|code|tests))* "
        rf"(?:{_ALWAYS})\b(?! (?:noch|wieder|mehr)\b)"
        r"|(?:keine?n?|nicht) [^,;:?]{3,120}, (?:nie|niemals)(?=[.! ]*$)"
        r"|(?:du|ihr|sie) (?:sollst|solltest|musst|darfst|kannst|sollt|müsst|dürft|sollen|müssen|"
        rf"dürfen)(?: \w+){{0,3}} (?:{_ALWAYS})\b"
        rf"|(?:hier |im team |in diesem projekt )?wir (?:{_CUSTOMS})(?: \w+){{0,3}} (?:{_ALWAYS})\b"
        rf"|(?:hier|im team|in diesem projekt) (?:{_CUSTOMS}) wir(?: \w+){{0,3}} (?:{_ALWAYS})\b"
        rf"|ich (?:will|möchte)(?: \w+){{0,2}} (?:{_ALWAYS})\b)"
    ),
    prefer=words(
        r"ich bevorzuge (?!(?:die|den|das) (?:erste|zweite|dritte|letzte|andere|neue|alte)\w*\b|"
        r"variante\b|option\b)"
        r"|mir ist(?: es)? lieber,? |ich (?:mag|habe|hab)(?: es)? lieber,? "
    ),
    decide=words(
        r"(?:(?:(?:gestern|heute|vorhin|letzte woche|inzwischen|nun|jetzt|intern|im team|"
        r"(?:in|im|bei|nach|mit|auf) [^,;:?]{2,60}?) (?:haben wir|habe ich|hab ich)|"
        r"(?:wir|ich) (?:haben|habe|hab)\b)(?: uns| mich| nun| jetzt| heute| gestern)*"
        r"(?! (?:noch|ja noch) n| nicht | nie )(?:(?!\bnoch nicht\b|\bob\b)[^,;:?!.])* ?"
        r"\b(?:entschieden|beschlossen|geeinigt|vereinbart|festgelegt)\b"
        r"|es wurde (?:(?!\bnicht\b)[^,;:?!.])*\b(?:entschieden|beschlossen|vereinbart|festgelegt)\b"
        r"|(?:unsere |die |meine )?(?:entscheidung|beschluss)(?: ist| lautet)?: *(?!offen\b|steht\b))"
    ),
    standing=words(
        r"\b(?:ab jetzt|ab sofort|ab heute|ab nun|von nun an|von jetzt an|von heute an|künftig|"
        r"zukünftig|in zukunft|fortan)\b"
        r"(?! (?:läuft|funktioniert|geht|klappt|tut) (?:es|das|alles|wieder)\b)"
    ),
    subjects=frozenset(
        ["der", "die", "das", "ein", "eine", "einer", "dieser", "diese", "dieses", "jener", "es", "er", "sie", "man", "warum", "wieso", "was", "wie", "wann", "wo", "wer", "welche", "welcher", "ob", "wenn", "falls", "weil", "da", "in", "im", "an", "am", "auf", "bei", "für", "mit", "nach", "vor", "als", "ist", "sind", "war", "waren", "hat", "haben", "wird", "werden", "kann", "können", "soll", "sollen", "sollte", "muss", "müssen", "schreib", "erkläre", "beschreibe", "übersetze", "füge", "nicht", "unser", "unsere", "sein", "seine", "angenommen"]
    ),
    hedge=words(
        r"\b(?:wenn|falls|ob|angenommen|gesetzt den fall|stell dir vor|vielleicht|eventuell|könnten?|"
        r"würden?|wäre[n]?|hätten?|dachte|warum|wieso|nicht sicher|glaube nicht|weiß nicht)\b"
    ),
    reported=words(
        r"\b(?:sagt|sagte|meint|meinte|schreibt|schrieb|behauptet|steht|laut|fragt|fragte|empfiehlt|"
        r"erklärt|text|meldung|hinweis, dass|überschrift|satz|beschriftung)\b"
    ),
    vague=words(
        r"(?:[^:]*\bdass )?(?:das|dies|dieses|es|er|sie|diese|so)\b(?= (?:ist|sind|wird|war|hat|so|"
        r"nicht|geht|muss|soll|kann|da|bleibt|immer|nie)\b)"
        r"|.*\b(?:mach|mache|tu|tue) (?:das|es|so|dies)\b"
    ),
    local=words(
        r"\b(?:diese[mnrs]?|der|die|das) (?:schleife|funktion|methode|klasse|datei|seite|ansicht|formular|"
        r"test|zeile|variable|branch|ticket|fehler|fall|skript|knopf|feld|spalte|abfrage) hier\b|"
        r"\bin diese[mr] (?:schleife|funktion|methode|klasse|datei|seite|ansicht|formular|test|zeile|fall|"
        r"schritt|branch|ticket)\b|\bdass hier\b|\bfehlt (?:\w+ ){0,3}noch\b"
    ),
    weak=words(r"\bbeacht|\bich\b"),
    therefore=words(r"\b(?:also|daher|deshalb)\b"),
    chore=words(r"zu\b"),
    wants=words(r"(?:ich (?:bevorzuge|mag|will|möchte|hasse)|immer|nie|niemals|kein|keine|bitte)\b"),
)  # fmt: skip
