using System.Security.Cryptography;

namespace Slipway.Engine.Containers;

/// <summary>Names of containers: which are valid, and what one without a name is called.</summary>
internal static class ContainerNames
{
    private static readonly string[] Adjectives =
    [
        "able", "agile", "airy", "alert", "ample", "apt", "balmy", "blithe", "bold", "brave", "breezy", "brisk", "calm", "candid",
        "civil", "clear", "clever", "cosy", "crisp", "daring", "deft", "dewy", "eager", "early", "earnest", "fair", "fleet", "fond",
        "frank", "fresh", "gentle", "glad", "golden", "hale", "handy", "hardy", "honest", "humble", "jolly", "keen", "kind", "lively",
        "loyal", "lucid", "merry", "mild", "modest", "neat", "nimble", "noble", "patient", "placid", "plucky", "polite", "prompt",
        "proud", "quick", "quiet", "ready", "robust", "rosy", "serene", "sharp", "silent", "sleek", "smart", "snug", "sober",
        "solid", "spry", "stable", "steady", "stout", "sturdy", "subtle", "sunny", "swift", "tidy", "tranquil", "trim", "trusty",
        "upbeat", "valiant", "vivid", "warm", "wily", "wise", "witty", "zesty",
    ];

    /// <summary>Navigators, shipwrights and scientists of the sea, and some of computing.</summary>
    private static readonly string[] Surnames =
    [
        "amundsen", "aronnax", "baffin", "bartholomew", "beaufort", "bering", "bligh", "bougainville", "bowditch", "brunel", "cabot",
        "cartier", "celsius", "chappe", "cochrane", "cook", "coriolis", "cousteau", "darwin", "davis", "diaz", "dijkstra", "drake",
        "earle", "ekman", "erikson", "euler", "fitzroy", "flinders", "forbes", "franklin", "frobisher", "froude", "fulton", "galilei",
        "grace", "halley", "hamilton", "harrison", "hawkins", "heyerdahl", "hopper", "hudson", "humboldt", "huygens", "kelvin",
        "kidd", "knuth", "laplace", "lovelace", "magellan", "maury", "mcnish", "mercator", "nansen", "nelson", "newton", "noether",
        "parry", "piccard", "plimsoll", "polo", "pytheas", "raleigh", "ross", "rozier", "scoresby", "scott", "shackleton", "slocum",
        "stokes", "sverdrup", "tasman", "tharp", "torvalds", "turing", "vancouver", "vespucci", "wegener", "worsley", "zhenghe",
    ];

    /// <summary>A random name such as <c>brisk_hopper</c>; with a digit where the first tries were taken.</summary>
    public static string Random(int attempt)
    {
        string name = $"{Adjectives[RandomNumberGenerator.GetInt32(Adjectives.Length)]}_{Surnames[RandomNumberGenerator.GetInt32(Surnames.Length)]}";
        return attempt < 6 ? name : name + RandomNumberGenerator.GetInt32(10_000);
    }

    /// <summary>Removes the slash before a name and checks it.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static string Parse(string text)
    {
        string name = text.StartsWith('/') ? text[1..] : text;
        bool valid = name.Length >= 2 && char.IsAsciiLetterOrDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-');
        return valid
            ? name
            : throw ContainerErrors.Invalid($"Invalid container name ({text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
    }
}
