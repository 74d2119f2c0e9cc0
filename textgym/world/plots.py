"""The plots of the small world's stories, as data.

In every text, {x} is the hero and {y} another person. {he}, {him}, {his} belong to {x}; {yhe}, {yhim}, {yhis} to {y}; a
capital first letter gives a capital pronoun. Other braces are the plot's own slots.
"""

from typing import NamedTuple


class Outcome(NamedTuple):
    """How a story ends, and the summaries of the story that ends like this."""

    ending: tuple[str, ...]
    summaries: tuple[str, ...]


class Plot(NamedTuple):
    """A story: slots with their values, sentences (each with alternatives, "" leaves it out), and outcomes."""

    slots: dict[str, tuple[str, ...]]
    body: tuple[tuple[str, ...], ...]
    outcomes: tuple[Outcome, ...]
    has_job: bool = False  # the plot itself names the hero's job


# Sentences with nothing that a summary needs: about the day, and about the hero.
DAY_FILLERS = ("It was a warm day.", "It was a cold day.", "The wind was strong.", "The sky was grey.")
JOB_FILLER = "{x} was {job}."
HERO_FILLERS = (JOB_FILLER, "{x} came from {home}.", "{x} liked {hobby}.", "{x} had {a_color} coat.")

LOST = Plot(
    {
        "thing": ("ring", "bag", "key", "umbrella", "watch", "hat", "phone", "book"),
        "place": ("in the park", "at the station", "on the bus", "at the market", "in the library", "on the beach"),
    },
    (
        ("On {day}, {x} could not find {his} {thing}.", "On {day}, {x} saw that {his} {thing} was gone."),
        ("{He} looked in every room.", "{He} looked under the bed and behind the door."),
        ("The {thing} was a present from {his} mother.", "The {thing} was old, but {he} loved it.", ""),
        ("Then {x} told {his} friend {y} about it.", "{He} asked {y} for help."),
    ),
    (
        Outcome(
            ("{y} went out and found it {place}.", "{x} was very happy."),
            ("{x} lost {his} {thing}, but {y} found it {place}.", "{y} found {x}'s lost {thing} {place}."),
        ),
        Outcome(
            ("They looked {place}, but it was not there.", "In the end, {x} bought a new one."),
            (
                "{x} lost {his} {thing} and bought a new one.",
                "{x} and {y} could not find the lost {thing}, so {x} bought a new one.",
            ),
        ),
        Outcome(
            ("{y} laughed and opened {yhis} bag.", "{YHe} had borrowed the {thing} the day before."),
            ("{x} missed {his} {thing}, but {y} had borrowed it.", "{y} had borrowed the {thing} that {x} missed."),
        ),
    ),
)

REPAIR = Plot(
    {"thing": ("bike", "clock", "radio", "lamp", "chair", "car", "boat", "piano"), "kind": ("old", "small", "big")},
    (
        ("{y} had {a_kind} {thing}.",),
        ("{YHe} used it every day.", "It had belonged to {yhis} father."),
        ("On {day}, the {thing} broke.", "One day, the {thing} broke."),
        ("{y} had no money for a new one.", "{y} was very sad.", ""),
        ("{x} lived next door and wanted to help.", "{y} asked {x} for help."),
    ),
    (
        Outcome(
            ("{x} worked on the {thing} all night.", "In the morning, it was as good as new."),
            ("{x} repaired {y}'s {thing}.", "When {y}'s {thing} broke, {x} repaired it."),
        ),
        Outcome(
            ("{x} tried everything, but it was too late.", "So {he} gave {y} {his} own {thing}."),
            (
                "{x} could not repair {y}'s {thing}, so {he} gave {yhim} {his} own.",
                "When {y}'s {thing} broke, {x} gave {yhim} {his} own.",
            ),
        ),
        Outcome(
            ("{x} repaired it in an hour.", "{y} thanked {him} with a big cake."),
            (
                "{x} repaired {y}'s {thing} and got a cake.",
                "{y} gave {x} a cake because {he} repaired the {thing}.",
            ),
        ),
    ),
)

CONTEST = Plot(
    {
        "contest": ("baking contest", "chess contest", "singing contest", "bike race", "boat race", "dance contest"),
        "prize": ("a silver cup", "a golden ring", "a new bike", "a big cake", "a trip to the sea"),
    },
    (
        ("There was a {contest} in {town} on {day}.", "On {day}, {town} held a {contest}."),
        ("{x} wanted to win it.", "{x} dreamed of the first prize.", "{x} wanted to win {prize}."),
        ("{He} trained every evening.", "{He} trained for three weeks."),
        ("{His} friends came to watch.", "Many people came to watch.", ""),
        ("{x} was nervous, but {he} did {his} best.", "At first, everything went wrong for {x}."),
    ),
    (
        Outcome(
            ("In the end, {he} came first.", "{He} got {prize}."),
            (
                "{x} won the {contest} in {town} and got {prize}.",
                "{x} got {prize} for winning the {contest} in {town}.",
            ),
        ),
        Outcome(
            ("But {y} was better that day.", "{x} came second and smiled."),
            ("{x} came second to {y} in the {contest} in {town}.", "{y} beat {x} in the {contest} in {town}."),
        ),
        Outcome(
            ("Suddenly, a storm came.", "Everybody ran home, and nobody won."),
            (
                "A storm ended the {contest} in {town}, and nobody won.",
                "Nobody won the {contest} in {town} because of a storm.",
            ),
        ),
    ),
)

GIFT = Plot(
    {
        "thing": ("clock", "lamp", "mirror", "ring", "bag", "bowl", "violin", "hat"),
        "made": ("a cake", "a picture", "a song", "a poem", "a toy"),
    },
    (
        ("On {day}, it was {y}'s birthday.", "{y} had {yhis} birthday on {day}."),
        ("{x} wanted to give {yhim} something special.", "{x} was looking for a present."),
        ("{He} had only a few coins.", "{He} had saved some money."),
        ("{He} went to the market in {town}.", "{He} walked from shop to shop in {town}."),
    ),
    (
        Outcome(
            ("There {he} found {a_color} {thing}.", "{y} loved it and put it in {yhis} room."),
            (
                "{x} bought {y} {a_color} {thing} for {yhis} birthday.",
                "{y} got {a_color} {thing} from {x} for {yhis} birthday.",
            ),
        ),
        Outcome(
            ("Everything was too expensive.", "So {he} went home and made {made}.", "{y} liked it best of all."),
            ("{x} made {y} {made} for {yhis} birthday.", "{y} got {made} from {x} for {yhis} birthday."),
        ),
        Outcome(
            ("{He} bought {a_color} {thing} there.", "But on the way home, {he} lost it."),
            (
                "{x} bought {a_color} {thing} for {y}, but lost it.",
                "{x} lost the {color} {thing} that {he} had bought for {y}.",
            ),
        ),
    ),
)

ANIMAL = Plot(
    {
        "animal": ("cat", "dog", "bird", "rabbit", "owl", "goat", "turtle", "duck"),
        "fur": ("black", "white", "grey", "brown"),
        "place": ("in the forest", "on the beach", "in the park", "near the river", "behind the church"),
    },
    (
        ("On {day}, {x} was walking {place}.", "One morning, {x} took a walk {place}."),
        ("Suddenly, {he} heard a soft sound.", "{He} was on {his} way home.", ""),
        ("There was a small {animal} under a tree.", "{He} saw a {fur} {animal} on the ground."),
        ("It was hungry and could not move.", "It was wet and very cold."),
        ("{x} put it in {his} bag and took it home.", "{x} carried it home and gave it some milk."),
    ),
    (
        Outcome(
            ("The {animal} soon felt better.", "{x} kept it, and they became friends."),
            ("{x} found {a_animal} {place} and kept it.", "{x} kept {a_animal} that {he} found {place}."),
        ),
        Outcome(
            ("After a week, it was strong again.", "{x} took it back and set it free."),
            (
                "{x} helped {a_animal} {place} and set it free.",
                "{x} found {a_animal} {place}, helped it and set it free.",
            ),
        ),
        Outcome(
            ("The next day, {y} came to the door.", "It was {yhis} {animal}, and {yhe} cried with joy."),
            ("{x} found {y}'s lost {animal} {place}.", "The {animal} that {x} found {place} belonged to {y}."),
        ),
    ),
)

TRAIN = Plot(
    {"why": ("there was too much snow", "the road was closed", "the bus was late", "{he} fell off {his} bike")},
    (
        ("{x} wanted to visit {y} in {town}.", "{y} lived in {town}, and {x} wanted to visit {yhim}."),
        ("They had not met for two years.", "They were old friends.", ""),
        ("{He} packed {his} bag and left the house.", "{He} got up early on {day}."),
        ("On the way to the station, {why}.",),
        ("The train left without {him}.", "So {he} missed the train."),
    ),
    (
        Outcome(
            ("{x} took the bus and arrived at night.", "{y} was still waiting with hot soup."),
            (
                "{x} missed the train to {town} and took the bus to {y}.",
                "After missing the train, {x} took the bus to {y} in {town}.",
            ),
        ),
        Outcome(
            ("{y} got into {yhis} car.", "{YHe} drove all day to see {x}."),
            (
                "{x} missed the train to {town}, so {y} came to {him}.",
                "{y} drove to {x}, who missed the train to {town}.",
            ),
        ),
        Outcome(
            ("{x} went home again.", "{He} wrote {y} a long letter."),
            (
                "{x} missed the train to {town} and wrote {y} a letter.",
                "After missing the train to {town}, {x} wrote {y} a letter.",
            ),
        ),
    ),
)

TRIP = Plot(
    {
        "trip": ("a picnic by the lake", "a walk in the forest", "a day at the beach", "a trip to the castle"),
        "storm": ("a storm came", "it began to rain", "it began to snow", "the wind became too strong"),
        "house": ("an old house", "a museum", "a small church", "a barn", "a café"),
    },
    (
        ("{x} and {y} planned {trip}.", "For weeks, {x} and {y} had planned {trip}."),
        ("They packed bread, cheese and apples.", "They packed a big bag.", ""),
        ("On {day}, they left early.", "They left on {day} after breakfast."),
        ("They sang on the way.", "They were in a good mood.", ""),
        ("But at noon, {storm}.", "But then {storm}."),
    ),
    (
        Outcome(
            ("They ran to {house}.", "There they talked and laughed until the evening."),
            (
                "{x} and {y} planned {trip}, but {storm}, so they stayed in {house}.",
                "Because {storm}, {x} and {y} stayed in {house}.",
            ),
        ),
        Outcome(
            ("They turned around and went home.", "They ate everything in the kitchen."),
            ("{x} and {y} planned {trip}, but {storm}, so they went home.", "Because {storm}, {x} and {y} went home."),
        ),
        Outcome(
            ("They did not care and went on.", "The next day, both were ill."),
            (
                "{x} and {y} went on although {storm}, and both became ill.",
                "{x} and {y} became ill because they did not turn back.",
            ),
        ),
    ),
)

TRADE = Plot(
    {
        "one": ("guitar", "camera", "clock", "table", "tent"),
        "two": ("bike", "radio", "mirror", "chair", "boat"),
    },
    (
        ("{x} had {a_one}, but {he} never used it.", "There was {a_one} in {x}'s house."),
        ("{He} would rather have {a_two}.", "What {he} really needed was {a_two}."),
        ("On {day}, {he} met {y} at the market.", "{He} met {y} in {town} on {day}."),
        ("{y} had {a_two} to sell.", "{y} was carrying {a_two}."),
        ("They talked for an hour.", "They drank a cup of tea together.", ""),
    ),
    (
        Outcome(
            ("In the end, they traded.", "Both went home happy."),
            ("{x} traded {his} {one} for {y}'s {two}.", "{y} gave {x} {a_two} for {a_one}."),
        ),
        Outcome(
            ("But {y} did not want {a_one}.", "So {x} paid {n} coins for the {two}."),
            ("{x} bought {y}'s {two} for {n} coins.", "{y} sold {x} {a_two} for {n} coins."),
        ),
        Outcome(
            ("But {y} wanted too much for it.", "{x} kept {his} {one} and went home."),
            ("{x} wanted {y}'s {two}, but kept {his} {one}.", "{x} and {y} did not trade the {one} for the {two}."),
        ),
    ),
)

SHOP = Plot(
    {
        "shop": ("bakery", "bookshop", "café", "flower shop", "toy shop", "restaurant"),
        "n": ("two", "three", "five", "ten"),
    },
    (
        ("{x} worked in an office in {town}.", "For {n} years, {x} had worked in a bank."),
        ("The work was boring.", "{He} did not like {his} boss.", ""),
        ("Every night, {he} dreamed of {a_shop}.", "{He} had always wanted {a_shop}."),
        ("One day, {y} offered {him} some money.", "{y} told {him} to try it."),
        ("So {x} opened {a_shop} in {town}.", "In spring, {x} opened {a_shop} in {town}."),
    ),
    (
        Outcome(
            ("From the first day, it was full of people.", "{x} never looked back."),
            (
                "With the help of {y}, {x} opened {a_shop} in {town}.",
                "{x} left {his} job and opened {a_shop} in {town}.",
            ),
        ),
        Outcome(
            ("But few people came.", "After a year, {he} had to close it."),
            ("{x} opened {a_shop} in {town}, but had to close it.", "{x}'s {shop} in {town} closed after a year."),
        ),
        Outcome(
            ("Soon there was too much work.", "So {y} joined {him}, and they ran it together."),
            ("{x} and {y} ran {a_shop} in {town} together.", "{x} opened {a_shop} in {town}, and {y} joined {him}."),
        ),
    ),
    has_job=True,
)

BORROW = Plot(
    {"thing": ("guitar", "camera", "umbrella", "bike", "violin", "tent", "lamp", "mirror")},
    (
        ("{x} needed {a_thing} and asked {y} for help.", "On {day}, {x} borrowed {a_thing} from {y}."),
        ("{y} gave {him} the best one.", "The {thing} was almost new.", ""),
        ("{x} promised to be careful.", "{x} wanted to bring it back in the evening."),
        ("But on the way home, {he} fell.", "But {his} dog jumped on it."),
        ("{y}'s {thing} was broken.", "So {he} broke {y}'s {thing}."),
    ),
    (
        Outcome(
            ("{x} told {y} the truth.", "{y} was not angry at all."),
            ("{x} broke {y}'s {thing} and told {yhim} the truth.", "{y} was not angry when {x} broke the {thing}."),
        ),
        Outcome(
            ("{He} sold {his} watch.", "Then {he} bought {y} a new {thing}."),
            (
                "{x} broke {y}'s {thing} and bought {yhim} a new one.",
                "{x} bought {y} a new {thing} after breaking the old one.",
            ),
        ),
        Outcome(
            ("{x} was afraid and said nothing.", "When {y} saw it, {yhe} was very angry."),
            ("{y} was angry because {x} broke the {thing}.", "{x} broke {y}'s {thing} and made {yhim} angry."),
        ),
    ),
)

NOISE = Plot(
    {"room": ("kitchen", "garden", "cellar", "hall"), "animal": ("cat", "goat", "mouse", "owl", "fox")},
    (
        ("On {day} night, {x} woke up.", "{x} could not sleep in {his} new house."),
        ("There was a noise in the {room}.", "{He} heard steps in the {room}."),
        ("{x} was afraid.", "Nobody else was in the house.", ""),
        ("{He} took a lamp and went down.", "Slowly, {he} opened the door."),
    ),
    (
        Outcome(
            ("It was only {a_animal}.", "{x} laughed and went back to bed."),
            (
                "{x} heard a noise in the {room}, but it was only {a_animal}.",
                "{a_animal} made a noise in {x}'s {room}.",
            ),
        ),
        Outcome(
            ("There stood {y} with {a_color} bag.", "{YHe} had missed the last train home."),
            (
                "{x} heard a noise and found {y} in the {room}.",
                "The noise in {x}'s {room} was {y}, who had missed the train.",
            ),
        ),
        Outcome(
            ("A thief jumped out of the window.", "{x} called the police, but he was gone."),
            ("{x} found a thief in the {room}, but he escaped.", "A thief escaped from {x}'s {room}."),
        ),
    ),
)

RESCUE = Plot(
    {"water": ("lake", "river", "sea"), "act": ("swimming in", "fishing in", "sailing on")},
    (
        ("On {day}, {y} was {act} the {water} near {town}.", "{y} went {act} the {water} near {town}."),
        ("{YHe} did not see the dark clouds.", "The water was very cold.", ""),
        ("Suddenly, a big wave came.", "Then {yhe} became too tired."),
        ("{y} called for help.", "Only {x} heard {yhis} cries."),
        ("{x} was reading on the beach.", "{x} was walking {his} dog.", ""),
    ),
    (
        Outcome(
            ("{x} jumped into the water and pulled {yhim} out.",),
            ("{x} saved {y} from the {water} near {town}.", "{y} was saved from the {water} near {town} by {x}."),
        ),
        Outcome(
            ("{x} took a boat and saved {yhim}.", "The town gave {him} {n} coins."),
            ("{x} saved {y} from the {water} and got {n} coins.", "{town} gave {x} {n} coins for saving {y}."),
        ),
        Outcome(
            ("{x} could not swim and ran for help.", "When the police came, {y} was already safe."),
            ("{y} was already safe when {x} came back with the police.", "{x} ran for help, but {y} was already safe."),
        ),
    ),
)

PLOTS = (LOST, REPAIR, CONTEST, GIFT, ANIMAL, TRAIN, TRIP, TRADE, SHOP, BORROW, NOISE, RESCUE)
