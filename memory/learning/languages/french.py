"""French."""

# ruff: noqa: E501  (patterns)

from memory.learning.languages.base import Language, words

# First words that look like an imperative and tell of what is.
_NO_VERBS = (
    "le|ce|une|elle|je|ne|de|que|me|te|se|même|marche|fonctionne|échoue|existe|reste|bloque|plante|"
    "manque|rame|affiche|renvoie|retourne|tourne|arrive|semble|donne|boucle|traîne|pas|mais|les|des|"
    "mes|tes|ses|nos|vos|ces|aux|est|suis|tous|toutes|toute|cette|chaque|comme|autre|ils|elles|nous|vous|"
    "alors|après|très|dans|depuis|encore|avec"
)
_CUSTOMS = (
    "utilise|utilisons|écrit|écrivons|met|mettons|nomme|nommons|déploie|déployons|livre|livrons|fait|"
    "faisons|passe|passons|garde|gardons|teste|testons|documente|documentons|commite|committe|pousse|"
    "fusionne|rebase|stocke|stockons|préfixe|arrondit|tutoie|vouvoie|parle|signe|relit"
)

FRENCH = Language(
    name="fr",
    opener=words(
        r"(?:(?:s'il te plaît|s'il vous plaît|stp|svp|ok|d'accord|alors|et|mais|aussi|oui|non|bon|bien|"
        r"parfait|super|merci|salut|bonjour|au fait|à propos|pour info|pour information|ps|nb|"
        r"important|très important|attention|rappel|petit rappel|encore une chose|autre chose|"
        r"en général|dans ce (?:projet|dépôt)|règle|donc|ensuite|voilà|dernière chose)\b[\s,:;.!–—-]*)"
    ),
    clause=words(r"(?:,|;|\.|:)? +(?:et|mais|donc|alors|aussi) +|; +| +[–—-]+ +"),
    remember=words(
        r"(?:(?:souviens[- ]toi|souvenez[- ]vous|rappelle[- ]toi|rappelez[- ]vous|retiens|retenez|"
        r"note|notez|n'oublie pas|n'oubliez pas|n'oublie jamais|(?:garde|gardez|gardons)"
        r"(?: bien)? (?:en tête|à l'esprit|en mémoire)|sache|sachez|mémorise|mémorisez|"
        r"tiens compte du fait|je te rappelle|je vous rappelle|il faut (?:savoir|retenir)|prends note)(?: aussi| bien)?"
        r"(?: (?:ceci|cela|ça|ce qui suit|pour (?:plus tard|la suite|la prochaine fois)))?"
        r"(?: que\b| qu'| *:)"
        r"|pour (?:mémoire|la prochaine fois|plus tard)(?: *:|,))[\s,:]*"
    ),
    instruct=words(
        r"(?:(?:quand|lorsque|si tu|pour|dans|en|avant de|après|à chaque fois que|chaque fois que) "
        r"[^,;:?]{2,90}, )?"
        r"(?:(?:il faut|tu dois|vous devez|on doit|merci de|veille à|veillez à|pense à|pensez à|"
        r"tu devrais|assure-toi de)(?: (?:bien|ne))? (?:toujours|jamais)\b"
        r"|(?:il ne faut|tu ne dois|vous ne devez|on ne doit|on ne|nous ne)(?: \w+)? jamais\b"
        r"|(?:ne (?:m'|l'|le |la |les |me |nous )?|n')\w+(?:e|ez|s|ds|ts)(?:-\w+)? jamais\b"
        r"|ne jamais \w+(?:er|ir|re)\b|jamais \w+(?:er|ir|re)\b"
        r"|toujours \w+(?:er|ir|re)\b"
        r"|(?:pas de |pas d'|aucune? )[^,;:?]{3,120}, jamais(?=[.! ]*$)"
        rf"|(?!(?:{_NO_VERBS})\b)[a-zàâçéèêëîïôûùœ]+(?:e|ez|is|ts|ds|ns|s|va)"
        r"(?:-(?:moi|nous|le|la|les|lui|toi|y|en))* toujours\b(?! (?:pas|la même|le même|autant|là|"
        r"aussi|rien|vide|en)\b)"
        rf"|(?:ici,? )?(?:on|nous) (?:{_CUSTOMS})(?: \w+)? toujours\b)"
    ),
    prefer=words(
        r"je préfère(?: que| qu'| de)? (?!(?:la|le) (?:premi|deuxi|second|troisi|derni|nouvel|nouveau|"
        r"vieil|vieux|autre)|celle|celui|cette|ce\b|ça\b|l'option|l'autre|ne pas|pas\b)"
        r"|ma préférence(?: va)?(?: à|,| c'est| :)"
    ),
    decide=words(
        r"(?:(?:hier|aujourd'hui|ce matin|la semaine dernière|finalement|en interne|"
        r"(?:en|à|au|après|avec|lors|suite|pendant) (?!on\b|nous\b)[^,;:?]{2,60}?),? )?"
        r"(?:(?:on a|nous avons|j'ai|l'équipe a|on avait)(?: (?:tous|donc|finalement|enfin|bien))* "
        r"(?:décidé|convenu|tranché|acté)\b(?! (?:si|quoi|quand|rien)\b)"
        r"|il (?:a été|est|fut) (?:décidé|convenu|acté)\b"
        r"|(?:on s'est|nous nous sommes)(?: tous)? mis d'accord (?:pour|sur|que)\b"
        r"|(?:la |notre |ma )?décision(?: est| finale)?(?: que| de)? *: *)"
    ),
    standing=words(
        r"(?:à partir de maintenant|à partir d'aujourd'hui|à compter d'aujourd'hui|\bdorénavant|"
        r"\bdésormais|à l'avenir|\bdès (?:maintenant|à présent|aujourd'hui))\b"
        r"(?!,? (?:ça|cela|tout) (?:marche|fonctionne|va|passe)\b)"
    ),
    subjects=frozenset(
        ["le", "la", "les", "un", "une", "ce", "cet", "cette", "ces", "il", "elle", "ils", "elles", "ça", "cela", "c'est", "pourquoi", "comment", "quand", "où", "qui", "que", "quoi", "quel", "quelle", "est-ce", "est", "si", "dans", "en", "sur", "pour", "avec", "sans", "écris", "explique", "traduis", "ajoute", "décris", "l'application", "l'api", "l'utilisateur", "mon", "ma", "mes", "son", "sa", "ses", "notre", "nos", "leur"]
    ),
    hedge=words(
        r"\b(?:si|imagine(?:z|r|ons)?|suppos(?:e|ons|ez|er)|peut-être|pourrait|pourrions|serait|faudrait|"
        r"aurait|devrait|croyais|pensais|pourquoi|comment|pas sûr|sais pas|est-ce)\b|\bs'il(?! te| vous)"
    ),
    reported=words(
        r"\b(?:dit|disait|disent|écrit|affirme|prétend|recommande|demande|selon|d'après|explique|message|"
        r"texte|titre|phrase|bannière|libellé)\b"
    ),
    vague=words(
        r"(?:ça|cela|ceci|c'est|ce n'est|c'était|il est|elle est|ils sont|elles sont|il a|elle a)\b"
        r"|.*\b(?:fais|fait|faites|refais) (?:ça|cela|comme ça|ainsi|pareil)\b"
    ),
    local=words(
        r"\b(?:cette|ce|cet) (?:boucle|fonction|méthode|classe|fichier|page|vue|formulaire|test|ligne|"
        r"variable|branche|ticket|erreur|cas|script|bouton|champ|colonne|requête|étape)\b|\bqu'ici\b"
    ),
    weak=words(r"\bnotez?\b|\bj'ai\b"),
    therefore=words(r"\b(?:donc|alors)\b"),
    chore=words(r"(?:de|d')\b"),
    wants=words(r"(?:je (?:préfère|veux|déteste|n'aime)|toujours|jamais|ne|n'|pas de)\b"),
)  # fmt: skip
