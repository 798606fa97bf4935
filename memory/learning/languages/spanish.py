"""Spanish."""

# ruff: noqa: E501  (patterns)

from memory.learning.languages.base import Language, words

# What follows "siempre" and "nunca", or stands before them, in a report of what goes wrong.
_STATES = (
    "sale|salen|falla|fallan|da|dan|devuelve|devuelven|pasa|pasan|aparece|aparecen|muestra|tarda|ha|han|"
    "había|hubo|he|hemos|es|son|está|están|estaba|hay|funciona|funcionan|funcionó|ocurre|igual|me|te|se|"
    "lo|la|le|el|los|las|un|una|que|sigue|siguen|llega|llegan|queda|quedan|dice|tiene|tienen|era|fue|"
    "necesita|mismo|misma|en|con|por|de|al|vi|visto|vacío|nulo|carga|termina|responde|cuelga|bloquea|"
    "existe|puede|pueden|hace|más|mejor|peor|has|puedes|eres|estás|antes|después|tarde|entra|va|van|"
    "hago|veo|recibo|obtengo|tengo|y|o|no|mi|su|este|esta|ese|esa|arranca|conecta|encuentra|pierde"
)

SPANISH = Language(
    name="es",
    opener=words(
        r"(?:(?:por favor|porfa|ok|vale|bien|bueno|y|pero|también|sí|no,|perfecto|genial|gracias|hola|"
        r"oye|por cierto|nota|ps|pd|importante|muy importante|ojo|atención|recordatorio|una cosa|"
        r"otra cosa|una cosa más|en general|en este (?:proyecto|repositorio|repo)|regla|entonces|"
        r"ahora|además|asegúrate de|procura|recuerda)\b[\s,:;.!–—-]*)"
    ),
    clause=words(r"(?:,|;|\.|:)? +(?:y|pero|así que|por tanto|entonces|además) +|; +| +[–—-]+ +"),
    remember=words(
        r"(?:(?:recuerda|recuerde|recordad|acuérdate(?: de)?|acuérdese de|(?:ten|tenga|tened)(?: siempre)? "
        r"(?:en cuenta|presente)|no (?:te )?olvides|no (?:se )?olvide|no se te olvide|apunta|apúntate|"
        r"te recuerdo|os recuerdo|le recuerdo|anota|toma nota(?: de)?|que sepas|para que (?:lo )?sepas|memoriza|guarda en (?:tu )?memoria)"
        r"(?: (?:esto|lo siguiente|bien|para (?:luego|después|más tarde|la próxima)))?(?: que\b| *:|,)"
        r"|para la próxima(?: vez)?(?: *:|,)|para futuras referencias(?: *:|,))[\s,:]*"
    ),
    instruct=words(
        r"(?:(?:cuando|si|para|en|antes de|después de|cada vez que|al) [^,;:?]{2,90}, )?"
        rf"(?:siempre (?!(?:{_STATES})\b)[a-záéíóúñ]{{2,}}(?:a|e|ad|ed|id|ar|er|ir|on|az|én|amos|emos|"
        r"imos)(?:me|nos|lo|la|los|las|le)?\b(?<!\bsiempre tenemos)(?<!\bsiempre vemos)"
        rf"|(?:nunca|jamás) (?!(?:{_STATES})\b)(?:me |lo |la |los |las |nos )?"
        r"[a-záéíóúñ]{2,}(?:as|es|áis|éis|ar|er|ir|amos|emos|imos)\b"
        r"|(?:nada de |ningún |ninguna )[^,;:?]{3,120}, (?:nunca|jamás)(?=[.! ]*$)"
        r"|no (?!puedes|tienes|sabes|consigues|has|estás|eres|ves|haces)(?:me |lo |la |los |las |nos )?"
        r"[a-záéíóúñ]{2,}(?:as|es) (?:nunca|jamás)\b"
        rf"|(?!(?:{_STATES})\b)[a-záéíóúñ]{{2,}}(?:a|e|ad|ed|id|on|az|én)(?:me|nos|lo|la|los|las|le)? "
        r"siempre\b(?! (?:igual|lo mismo|que)\b)|(?:haz|pon|ten|ve|di|sal|sé)(?:me|lo|la)? siempre\b"
        r"|(?:debes|tienes que|hay que|has de|deberías|debéis|tenéis que)(?: \w+)? (?:siempre|nunca)\b"
        r"|(?:no debes|no hay que|no tienes que)(?: \w+)? (?:nunca|jamás)\b"
        r"|(?:siempre|nunca) (?:debes|tienes que|hay que)\b"
        r"|(?:aquí |nosotros |en el equipo )(?:siempre|nunca) (?!tenemos|vemos|recibimos|obtenemos|"
        r"podemos|hemos|estamos|somos)\w+mos\b)"
    ),
    prefer=words(
        r"(?:yo )?prefiero(?: que)? (?!(?:el|la|los|las) (?:primer|segund|tercer|últim|otr|nuev|viej)|"
        r"est[eao]\b|es[eao]\b|la opción|no\b)"
        r"|mi preferencia es "
    ),
    decide=words(
        r"(?:(?:ayer|hoy|esta mañana|la semana pasada|al final|finalmente|internamente|"
        r"(?:en|tras|con|después de|durante) (?!que\b)[^,;:?]{2,60}?),? )?"
        r"(?:(?:(?:hemos|he|el equipo ha)(?: \w+)? (?:decidido|acordado)|decidimos|acordamos|decidí|"
        r"quedamos en|hemos quedado en)\b(?! (?:si|qué|cuándo|cómo|nada)\b)"
        r"|se (?:ha decidido|decidió|ha acordado|acordó)\b"
        r"|(?:la |nuestra |mi )?decisión(?: es| final)?(?: que)? *: *)"
    ),
    standing=words(
        r"\b(?:a partir de (?:ahora|hoy)|de (?:ahora|aquí|hoy) en adelante|desde (?:ahora|hoy)|"
        r"en adelante|en lo sucesivo|en el futuro,?(?= (?:no|usa|pon|haz|escribe|deja|añade|pregunta|"
        r"evita|avisa|revisa|siempre|nunca|por favor|quiero|prefiero)\b))\b"
        r"(?!,? (?:ya )?(?:funciona|va bien|todo va|todo funciona)\b)"
    ),
    subjects=frozenset(
        ["el", "la", "los", "las", "un", "una", "este", "esta", "esto", "ese", "esa", "eso", "ello", "él", "ella", "ellos", "ellas", "por", "qué", "cómo", "cuándo", "dónde", "quién", "cuál", "si", "porque", "en", "con", "para", "sin", "según", "escribe", "explica", "traduce", "añade", "pon", "describe", "mi", "mis", "su", "sus", "nuestro", "nuestra", "es", "son", "está", "están", "hay"]
    ),
    hedge=words(
        r"\b(?:si|imagina(?:r|d|mos)?|supón|supongamos|suponiendo|quizás?|tal vez|podría|podríamos|sería|"
        r"habría|debería|creía|pensaba|por qué|no sé|no estoy segur[oa]|acaso)\b"
    ),
    reported=words(
        r"\b(?:dice|dicen|dijo|escribe|escribió|afirma|según|recomienda|pregunta|opina|explica|mensaje|"
        r"texto|título|frase|etiqueta|cartel)\b"
    ),
    vague=words(
        r"(?:esto|eso|ello|él|ella|ellos|ellas|lo)\b|.*\b(?:haz|hagas|hace|hacer) (?:eso|esto|lo mismo)\b|"
        r".*\b(?:hazlo|lo hagas) (?:así|igual|siempre|nunca)\b"
    ),
    local=words(
        r"\b(?:est[ea]|ese|esa) (?:bucle|función|método|clase|fichero|archivo|página|vista|formulario|test|"
        r"prueba|línea|variable|rama|ticket|error|caso|script|botón|campo|columna|consulta|paso)\b|"
        r"\bque aquí\b"
    ),
    weak=words(r"\ben cuenta\b|\bnota\b|\bhe\b|\bdecidí\b"),
    therefore=words(r"\b(?:así que|por tanto|entonces)\b"),
    chore=words(r"(?:de )?\w+(?:ar|er|ir)(?:lo|la|los|las|me|te|se)?\b"),
    wants=words(r"(?:prefiero|quiero|odio|me gusta|siempre|nunca|no)\b"),
)  # fmt: skip
