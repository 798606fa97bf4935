"""The words that say a time in English, German and Spanish, as tables.

Written folded: lower case, without accents and umlauts (`fold`). Where a word has forms, they are
all there; nothing is stemmed. dates.py says how they stand together.
"""

# Of the same length as what they replace, so that places in the folded text are the text's own.
_PLAIN = {"a": "áàâäã", "e": "éèêë", "i": "íìîï", "o": "óòôö", "u": "úùûü", "n": "ñ"}
_FOLDED = str.maketrans(
    {
        marked: plain
        for letter, forms in _PLAIN.items()
        for marked, plain in [
            *zip(forms, letter * len(forms), strict=True),
            *zip(forms.upper(), letter.upper() * len(forms), strict=True),
        ]
    }
)


def fold(text: str) -> str:
    """`text` without accents, letter by letter."""
    return text.translate(_FOLDED)


def _numbered(rows: list[str], first: int = 1) -> dict[str, int]:
    return {word: number for number, row in enumerate(rows, first) for word in row.split()}


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


MONTHS = _numbered(
    [
        "january januar janner jan enero ene",
        "february februar feb febrero",
        "march marz maerz mrz mar marzo",
        "april apr abril abr",
        "may mai mayo",
        "june juni jun junio",
        "july juli jul julio",
        "august aug agosto ago",
        "september sept sep septiembre setiembre",
        "october oktober oct okt octubre",
        "november nov noviembre",
        "december dezember dec dez diciembre dic",
    ]
)
# These say a month wherever they stand. The others are also verbs, people, a sauce, a base.
BARE_MONTHS = _set(
    "january januar enero february februar febrero marz maerz marzo juni junio july juli agosto "
    "september septiembre setiembre october oktober octubre november noviembre december dezember "
    "diciembre"
)
# Beside a day these want something more: a year, an ordinal, a capital, or a word such as "on".
WEAK_MONTHS = _set("march may mar dec oct sep ago ene dic jan jun apr mayo mai")
# Alone these say a month after "in" or "since".
PLACED_MONTHS = frozenset(MONTHS) - _set("mar dec oct sep ago ene abr dic")

WEEKDAYS = _numbered(
    [
        "monday montag lunes mon",
        "tuesday dienstag martes tue tues",
        "wednesday mittwoch miercoles",
        "thursday donnerstag jueves thu thur thurs",
        "friday freitag viernes fri",
        "saturday samstag sonnabend sabado",
        "sunday sonntag domingo",
    ],
    0,
)
SHORT_WEEKDAYS = _set("mon tue tues thu thur thurs fri")

NUMBERS = _numbered(
    [
        "a an one ein eine einem einen einer un una uno",
        "two zwei dos couple",
        "three drei tres",
        "four vier cuatro",
        "five funf fuenf cinco",
        "six sechs seis",
        "seven sieben siete",
        "eight acht ocho",
        "nine neun nueve",
        "ten zehn diez",
        "eleven elf once",
        "twelve zwolf zwoelf doce",
    ]
)

UNITS = {
    word: unit
    for unit, words in {
        "minute": "minute minutes min mins minuten minuto minutos",
        "hour": "hour hours hr hrs h stunde stunden hora horas",
        "day": "day days tag tage tagen dia dias",
        "week": "week weeks woche wochen semana semanas",
        "month": "month months monat monate monaten monats mes meses",
        "quarter": "quarter quarters quartal quartale quartalen trimestre trimestres",
        "year": "year years jahr jahre jahren jahres ano anos",
    }.items()
    for word in words.split()
}

# Days from today.
DAYS = {
    word: days
    for days, words in {
        -2: ["the day before yesterday", "day before yesterday", "vorgestern", "anteayer", "antier",
             "antes de ayer"],
        -1: ["yesterday", "gestern", "ayer"],
        0: ["today", "heute", "hoy"],
        1: ["tomorrow"],
        2: ["day after tomorrow", "ubermorgen", "uebermorgen", "pasado manana"],
    }.items()
    for word in words
}  # fmt: skip

# Hours of the day, from and until; more than 24 is the next morning.
DAY_PARTS = {
    word: hours
    for hours, words in {
        (4, 12): "morning|fruh|frueh|morgen|vormittag|por la manana|en la manana",
        (11, 14): "noon|mittag|al mediodia",
        (12, 18): "afternoon|nachmittag|por la tarde|en la tarde",
        (17, 24): "evening|abend",
        (18, 30): "night|nacht|por la noche|en la noche",
    }.items()
    for word in words.split("|")
}

# The month each begins with, of the northern half of the earth.
SEASONS = {
    word: month
    for month, words in {
        3: "spring fruhling fruehling fruhjahr fruehjahr primavera",
        6: "summer sommer verano",
        9: "autumn fall herbst otono",
        12: "winter invierno",
    }.items()
    for word in words.split()
}
# Also a framework and a tumble: not without a year or "last".
WEAK_SEASONS = frozenset({"spring", "fall", "primavera"})

# -1 before this, 0 this, 1 the next, -2 the one before the last.
RELATIVE = {
    word.replace("_", " "): step
    for step, words in {
        -2: "vorletzte vorletzten vorletztes vorletzter antepasado antepasada before_last",
        -1: "last previous prior past letzte letzten letztes letzter letztem vorige voriges "
        "vorigen voriger vorigem vergangene vergangenes vergangenen vergangener vergangenem "
        "pasado pasada ultimo ultima ultimos ultimas pasados pasadas anterior",
        0: "this current diese diesen dieses dieser diesem aktuelle aktuellen este esta actual "
        "heuer",
        1: "next upcoming nachste nachsten nachstes nachster nachstem naechste naechsten naechstes "
        "kommende kommenden kommendes kommender proximo proxima que_viene",
    }.items()
    for word in words.split()
}

# Thirds of a month or a year.
PARTS = {
    word: third
    for third, words in {
        0: ["early", "beginning of", "the beginning of", "start of", "the start of", "anfang",
            "principios de", "comienzos de", "inicios de"],
        1: ["mid", "middle of", "the middle of", "mitte", "mediados de"],
        2: ["late", "end of", "the end of", "ende", "finales de", "fines de"],
    }.items()
    for word in words
}  # fmt: skip

# What stands before a time, and what it makes of it. `of` is the weakest: an author or a place
# may follow as well.
PLACES = {
    "since": "since|starting|seit dem|seit der|seit|ab dem|ab|desde el|desde la|desde|a partir del"
    "|a partir de",
    "before": "before|prior to|earlier than|vor dem|vor der|vor|antes del|antes de",
    "after": "after|later than|nach dem|nach der|nach|despues del|despues de|tras",
    "until": "until|till|up to|bis zum|bis|hasta el|hasta la|hasta",
    "between": "between|zwischen dem|zwischen|entre el|entre",
    "in": "in|during|im|am|wahrend|waehrend|en el|en|durante el|durante",
    "of": "of|aus dem|aus|for|from|on|over|at|by|around|about|vom|von|an|um|del|de|el|para",
}

# What a number before it counts: "in 2000 bytes" is no year.
COUNTED = (
    "ms|millis|milliseconds?|s|secs?|seconds?|minutes?|hours?|days?|bytes?|[kmg]i?b|tokens?|rows?"
    "|lines?|chars?|characters?|words?|times?|steps?|requests?|errors?|messages?|files?|items?"
    "|records?|px|pixels?|users?|people|entries|calls?|iterations?|retries|attempts?|queries"
    "|tests?|points?|dollars?|euros?|usd|eur|zeilen|zeichen|sekunden|minuten|stunden|tagen?"
    "|worter|anfragen|fehlern?|dateien|nachrichten|lineas|segundos|minutos|horas|dias|palabras"
    "|caracteres|errores|archivos|mensajes|filas|peticiones|veces"
)

# What else only a time can be said with.
OTHER_WORDS = _set(
    "mid weekend wochenende finde kw kalenderwoche heuer tonight anoche morgen manana night nacht "
    "morning afternoon evening abend tarde noche q1 q2 q3 q4 h1 h2"
)
