"""Sentences of our own to be spoken: a little grammar in ten languages, numbers, times and dates in any."""

import numpy as np

GRAMMAR: dict[str, tuple[str, str, str, str]] = {
    "en": (
        "Good morning.|Thank you very much.|Can you hear me?|I do not know.|That was a good idea, was it not?",
        "Today|On Monday|After lunch|As always|In the summer|A little later",
        "the train leaves|my sister walks|our neighbours travel|the old dog runs|you and I go|the teacher drives",
        "to the market|with {n} friends|at {t}|through the rain|along the river|without a word|for {n} minutes",
    ),
    "de": (
        "Guten Morgen.|Vielen Dank.|Können Sie mich hören?|Das weiß ich nicht.|Wie schön, dass du da bist!",
        "Heute|Am Montag|Nach dem Essen|Wie immer|Im Sommer|Ein wenig später",
        "fährt der Zug|geht meine Schwester|reisen unsere Nachbarn|läuft der alte Hund|kommt der Lehrer|tanzen wir",
        "zum Bahnhof|mit {n} Freunden|um {t}|durch den Regen|am Fluss entlang|ohne ein Wort|{n} Minuten lang",
    ),
    "fr": (
        "Bonjour.|Merci beaucoup.|Vous m'entendez?|Je ne sais pas.|Quelle bonne surprise!",
        "Aujourd'hui|Lundi|Après le repas|Comme toujours|En été|Un peu plus tard",
        "le train part|ma sœur marche|nos voisins voyagent|le vieux chien court|nous allons|le professeur revient",
        "au marché|avec {n} amis|à {t}|sous la pluie|le long du fleuve|sans un mot|pendant {n} minutes",
    ),
    "es": (
        "Buenos días.|Muchas gracias.|¿Me oye usted?|No lo sé.|¡Qué buena idea!",
        "Hoy|El lunes|Después de comer|Como siempre|En verano|Un poco más tarde",
        "sale el tren|camina mi hermana|viajan los vecinos|corre el perro viejo|vamos nosotros|vuelve el maestro",
        "al mercado|con {n} amigos|a las {t}|bajo la lluvia|junto al río|sin decir nada|durante {n} minutos",
    ),
    "it": (
        "Buongiorno.|Grazie mille.|Mi sente?|Non lo so.|Che bella idea!",
        "Oggi|Lunedì|Dopo pranzo|Come sempre|In estate|Un po' più tardi",
        "parte il treno|cammina mia sorella|viaggiano i vicini|corre il vecchio cane|andiamo noi|torna il maestro",
        "al mercato|con {n} amici|alle {t}|sotto la pioggia|lungo il fiume|senza dire niente|per {n} minuti",
    ),
    "pt": (
        "Bom dia.|Muito obrigado.|Está a ouvir-me?|Não sei.|Que boa ideia!",
        "Hoje|Na segunda-feira|Depois do almoço|Como sempre|No verão|Um pouco mais tarde",
        "o comboio parte|a minha irmã caminha|os vizinhos viajam|o cão velho corre|nós vamos|o professor volta",
        "para o mercado|com {n} amigos|às {t}|debaixo da chuva|ao longo do rio|sem uma palavra|durante {n} minutos",
    ),
    "nl": (
        "Goedemorgen.|Dank u wel.|Kunt u mij horen?|Dat weet ik niet.|Wat een goed idee!",
        "Vandaag|Op maandag|Na het eten|Zoals altijd|In de zomer|Een beetje later",
        "vertrekt de trein|loopt mijn zus|reizen onze buren|rent de oude hond|gaan wij|komt de leraar",
        "naar de markt|met {n} vrienden|om {t}|door de regen|langs de rivier|zonder een woord|{n} minuten lang",
    ),
    "sv": (
        "God morgon.|Tack så mycket.|Kan du höra mig?|Det vet jag inte.|Vilken bra idé!",
        "I dag|På måndag|Efter lunchen|Som alltid|På sommaren|Lite senare",
        "går tåget|promenerar min syster|reser våra grannar|springer den gamla hunden|åker vi|kommer läraren",
        "till torget|med {n} vänner|klockan {t}|genom regnet|längs floden|utan ett ord|i {n} minuter",
    ),
    "pl": (
        "Dzień dobry.|Dziękuję bardzo.|Czy mnie słychać?|Nie wiem.|Jaki dobry pomysł!",
        "Dzisiaj|W poniedziałek|Po obiedzie|Jak zawsze|W lecie|Trochę później",
        "pociąg jedzie|moja siostra idzie|sąsiedzi podróżują|stary pies biegnie|my idziemy|nauczyciel wraca",
        "na rynek|o {t}|w deszczu|wzdłuż rzeki|bez słowa|przez {n} minut|do domu",
    ),
    "ru": (
        "Доброе утро.|Большое спасибо.|Вы меня слышите?|Я не знаю.|Какая хорошая мысль!",
        "Сегодня|В понедельник|После обеда|Как всегда|Летом|Немного позже",
        "поезд едет|моя сестра идёт|соседи едут|старая собака бежит|мы идём|учитель возвращается",
        "на рынок|в {t}|под дождём|вдоль реки|без слов|домой|через {n} минут",
    ),
    "tr": (
        "Günaydın.|Çok teşekkür ederim.|Beni duyuyor musunuz?|Bilmiyorum.|Ne güzel bir fikir!",
        "Bugün|Pazartesi günü|Yemekten sonra|Her zamanki gibi|Yazın|Biraz sonra",
        "kız kardeşim|komşularımız|yaşlı köpek|öğretmen ile {n} çocuk|tren saat {t} sularında|herkes",
        "pazara gidiyor|yağmurda yürüyor|nehir boyunca koşuyor|eve dönüyor|konuşmadan bekliyor|{n} dakika kalıyor",
    ),
}
"""By language: phrases that stand alone; then openings, subjects with verbs, and ends, one of each a sentence."""


def text(language: str, words: int, rng: np.random.Generator) -> str:
    """Return sentences in a language, of about so many words.

    Parameters
    ----------
    language : str
        As espeak-ng names it, such as "en-gb-scotland". One that `GRAMMAR` does not know counts and tells the time.
    words : int
        At least so many; a number counts as one.
    """
    grammar = GRAMMAR.get(language.partition("-")[0])
    sentences: list[str] = []
    while sum(len(sentence.split()) for sentence in sentences) < words:
        sentences.append(_figures(rng) if grammar is None or rng.random() < 0.15 else _sentence(grammar, rng))
    return " ".join(sentences)


def _sentence(grammar: tuple[str, str, str, str], rng: np.random.Generator) -> str:
    phrases, *slots = (column.split("|") for column in grammar)
    if rng.random() < 0.3:
        return str(rng.choice(phrases))
    return " ".join(_filled(str(rng.choice(slot)), rng) for slot in slots) + "."


def _filled(words: str, rng: np.random.Generator) -> str:
    return words.format(n=rng.integers(2, 60), t=_time(rng))


def _figures(rng: np.random.Generator) -> str:
    """Count, tell the time or say a date, in figures: the voice knows the words."""
    kind = rng.integers(3)
    if kind == 0:
        return ", ".join(str(number) for number in rng.integers(1, 2000, rng.integers(2, 5))) + "."
    if kind == 1:
        return f"{_time(rng)}, {_time(rng)}."
    return f"{rng.integers(1, 29)}. {rng.integers(1, 13)}. {rng.integers(1900, 2030)}."


def _time(rng: np.random.Generator) -> str:
    return f"{rng.integers(1, 24)}:{rng.integers(10, 60)}"
