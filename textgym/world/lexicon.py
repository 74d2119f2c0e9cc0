"""The small world: its people, places, things and events, as tables that every grammar draws from."""

# People. The pronoun decides every agreement. The names work in English and in German.
SHE, HE = ("she", "her", "her"), ("he", "him", "his")  # subject, object, possessive
WOMEN = ("Anna", "Clara", "Emma", "Greta", "Ida", "Julia", "Karla", "Lena", "Mia", "Nora", "Rosa", "Tina")
MEN = ("Ben", "David", "Felix", "Hugo", "Jonas", "Leo", "Max", "Noah", "Oskar", "Paul", "Simon", "Viktor")
PEOPLE = (*((name, SHE) for name in WOMEN), *((name, HE) for name in MEN))
SURNAMES = ("Berg", "Stone", "Wood", "Lake", "Hill", "Fox", "Field", "North", "Moss", "Lang", "Reed", "Winter")
JOBS = (
    "baker", "teacher", "doctor", "painter", "gardener", "farmer", "nurse", "pilot", "singer", "tailor", "writer",
    "artist", "engineer", "carpenter",
)  # fmt: skip
TOWNS = ("Lindham", "Oakford", "Redbridge", "Millport", "Westhill", "Fairlake", "Stoneham", "Greendale")
HOBBIES = (
    "chess", "cycling", "dancing", "fishing", "hiking", "knitting", "painting", "reading", "running", "sailing",
    "singing", "swimming",
)  # fmt: skip
ANIMALS = ("cat", "dog", "horse", "parrot", "rabbit", "goat", "turtle", "owl")
ANIMAL_LOOKS = ("black", "white", "brown", "grey", "old", "young", "small", "clever")

# Places.
NAME_LOOKS = ("Red", "Blue", "Golden", "Silver", "Old", "Green", "White", "Black", "Happy", "Little", "Quiet", "Wild")
NAME_THINGS = (
    "Fox", "Lamp", "Rose", "Crown", "Swan", "Bell", "Bear", "Anchor", "Star", "Oak", "Ship", "Moon", "Lion", "Key",
    "Bridge", "Garden",
)  # fmt: skip
EATERIES = ("café", "restaurant", "pub", "bakery", "diner", "tea house")
FOODS = (
    "apple cake", "black coffee", "bread", "cheese", "chicken", "fresh fish", "ice cream", "noodles", "pancakes",
    "pizza", "salad", "soup",
)  # fmt: skip
AREAS = {  # area: the preposition that goes with it
    "city centre": "in", "old town": "in", "harbour": "at", "market square": "on", "river": "by", "station": "near",
    "park": "near", "castle": "near",
}  # fmt: skip
PRICES = ("cheap", "expensive", "mid-priced")
RATINGS = ("low", "average", "high")

# Things.
THINGS = ("bag", "bowl", "box", "chair", "clock", "cup", "lamp", "mirror", "ring", "table", "toy", "umbrella")
COLORS = ("black", "blue", "brown", "green", "grey", "orange", "red", "white", "yellow")
MATERIALS = {  # material: the things that can be made of it
    "glass": ("bowl", "box", "clock", "cup", "lamp", "mirror", "ring", "table"),
    "metal": ("bowl", "box", "chair", "clock", "cup", "lamp", "ring", "table", "toy"),
    "paper": ("bag", "box", "lamp", "umbrella"),
    "silk": ("bag", "umbrella"),
    "wooden": ("bowl", "box", "chair", "clock", "cup", "lamp", "mirror", "ring", "table", "toy"),
    "leather": ("bag", "box", "chair"),
}
CONDITIONS = ("new", "old", "used")

# Events.
EVENTS = (
    "art show", "book fair", "chess contest", "concert", "cooking class", "dance", "film night", "flower market",
    "puppet show", "quiz night",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
TIMES = ("10 am", "11 am", "2 pm", "3 pm", "5 pm", "6 pm", "7 pm", "8 pm")
VENUES = {  # venue: the preposition that goes with it
    "castle": "at", "church": "in", "library": "in", "museum": "in", "park": "in", "school": "at", "theatre": "in",
    "town hall": "in",
}  # fmt: skip

# Words that the copy task repeats.
WORDS = (
    *ANIMALS, *COLORS, *THINGS, *JOBS, *HOBBIES, *(area for area in AREAS if " " not in area),
    *(food for food in FOODS if " " not in food), *(word.lower() for word in NAME_THINGS),
    "happy", "little", "quiet", "wild", "golden", "silver", "old", "new", "young", "warm", "cold", "long", "small",
    "rain", "snow", "storm", "wind", "sun", "road", "train", "boat", "bus", "letter", "book", "key", "hat", "coat",
    "door", "window", "kitchen", "village", "forest", "beach", "school", "church", "library", "museum", "morning",
    "evening", "winter", "summer", "music", "story", "film", "song", "friend", "child", "woman", "man", "girl", "boy",
    "walk", "run", "sing", "read", "write", "find", "lose", "help", "buy", "sell", "open", "close",
)  # fmt: skip
WORDS = tuple(dict.fromkeys(WORDS))


def place_names() -> tuple[str, ...]:
    """The names that an eating place or a hotel can have."""
    return tuple(f"The {look} {thing}" for look in NAME_LOOKS for thing in NAME_THINGS)
