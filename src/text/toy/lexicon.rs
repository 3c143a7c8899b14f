//! The words of the toy world; order is rank where a Zipf law applies.

/// Names of the entities, the most frequent first.
pub const NAMES: [&str; 60] = [
    "zorin", "mavel", "tirsa", "oskan", "belwyn", "drusk", "elmira", "fandor", "gwenna", "halvor",
    "ismay", "jorun", "kestrin", "lorvik", "mirabe", "nadrel", "orsola", "pelgrim", "quenby",
    "rostam", "selwin", "tamsin", "ulfred", "vashti", "wendrel", "xanthe", "yorick", "zelda",
    "arvid", "brisa", "corwin", "dalmar", "eskild", "frida", "gorman", "hedwin", "idris", "jasper",
    "kolya", "leonor", "morwen", "nestor", "olwen", "petrok", "quillan", "ragnil", "sorrel",
    "torvald", "ursa", "valmir", "wystan", "yselda", "zephra", "alaric", "bertil", "cassim",
    "delwyn", "ebbe", "fenella", "gisla",
];

/// Where one can live.
pub const TOWNS: [&str; 20] = [
    "harvik", "elmsted", "dunmoor", "carrow", "velden", "astria", "brenna", "quarl", "ostwick",
    "lumen", "tarsis", "norhelm", "pellin", "sarnath", "wexley", "ibor", "kaldor", "maren",
    "ruthven", "yarrow",
];

/// What one can work as.
pub const TRADES: [&str; 16] = [
    "baker", "smith", "weaver", "sailor", "mason", "miller", "potter", "tailor", "cooper",
    "fisher", "scribe", "tanner", "healer", "carver", "brewer", "glazier",
];

/// Colours that a house can have.
pub const COLOURS: [&str; 12] = [
    "red", "blue", "green", "white", "yellow", "black", "brown", "grey", "pink", "purple",
    "orange", "golden",
];

/// What one can eat.
pub const FOODS: [&str; 16] = [
    "bread", "cheese", "apples", "soup", "rice", "beans", "honey", "plums", "trout", "onions",
    "eggs", "barley", "figs", "walnuts", "cabbage", "pears",
];

/// Nouns, singular and plural, the most frequent first.
pub const NOUNS: [[&str; 2]; 30] = [
    ["dog", "dogs"],
    ["tree", "trees"],
    ["river", "rivers"],
    ["child", "children"],
    ["king", "kings"],
    ["bird", "birds"],
    ["tower", "towers"],
    ["horse", "horses"],
    ["wolf", "wolves"],
    ["road", "roads"],
    ["guard", "guards"],
    ["ship", "ships"],
    ["witch", "witches"],
    ["stone", "stones"],
    ["cat", "cats"],
    ["bridge", "bridges"],
    ["monk", "monks"],
    ["lamp", "lamps"],
    ["fox", "foxes"],
    ["giant", "giants"],
    ["garden", "gardens"],
    ["goose", "geese"],
    ["wagon", "wagons"],
    ["raven", "ravens"],
    ["mouse", "mice"],
    ["cloak", "cloaks"],
    ["poet", "poets"],
    ["mill", "mills"],
    ["heron", "herons"],
    ["idol", "idols"],
];

/// Verbs, singular and plural, the most frequent first.
pub const VERBS: [[&str; 2]; 20] = [
    ["waits", "wait"],
    ["sleeps", "sleep"],
    ["shines", "shine"],
    ["moves", "move"],
    ["falls", "fall"],
    ["sings", "sing"],
    ["grows", "grow"],
    ["turns", "turn"],
    ["trembles", "tremble"],
    ["returns", "return"],
    ["hides", "hide"],
    ["rests", "rest"],
    ["vanishes", "vanish"],
    ["laughs", "laugh"],
    ["creaks", "creak"],
    ["wanders", "wander"],
    ["glows", "glow"],
    ["sinks", "sink"],
    ["whispers", "whisper"],
    ["crumbles", "crumble"],
];

/// Adjectives before a noun, the most frequent first.
pub const ADJECTIVES: [&str; 24] = [
    "old", "small", "dark", "tall", "quiet", "young", "bright", "cold", "strange", "proud",
    "gentle", "broken", "hollow", "weary", "fierce", "humble", "crooked", "silver", "hungry",
    "ancient", "frozen", "nimble", "solemn", "gaunt",
];

/// Adverbs before a verb, the most frequent first.
pub const ADVERBS: [&str; 8] =
    ["often", "never", "always", "slowly", "rarely", "gladly", "softly", "seldom"];

/// Prepositions between the subject and its attractor, the most frequent first.
pub const PREPOSITIONS: [&str; 6] = ["near", "behind", "above", "beside", "below", "beyond"];

/// Participles of the passive, the most frequent first.
pub const PARTICIPLES: [&str; 4] = ["seen", "feared", "followed", "praised"];

/// Words with a grammatical role of their own.
pub const FUNCTION: [&str; 22] = [
    ".", "?", "the", "she", "a", "in", "as", "lives", "dwells", "works", "toils", "owns", "keeps",
    "house", "eats", "devours", "where", "does", "live", "is", "are", "by",
];
