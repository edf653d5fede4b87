using System.Globalization;
using System.Text.RegularExpressions;

namespace Slipway.Engine.Logging;

/// <summary>
/// The <c>tag</c> of a log driver: text with fields of the container, <c>{{.Name}}/{{.ID}}</c>, optionally through a function
/// (<c>{{upper .Name}}</c>: lower, upper, title, truncate N). Of Go's templates this is what tags are made of; anything else is refused when the container is created.
/// </summary>
internal static partial class TagTemplate
{
    public const string Default = "{{.ID}}";

    private const int ShortId = 12;

    /// <exception cref="FormatException">The template is malformed, or names an unknown field or function.</exception>
    public static void Validate(string template) => Render(template, new LogSubject
    {
        Id = new string('0', 64), Name = "", ImageId = "", ImageName = "", Command = "", Created = default,
        Labels = new Dictionary<string, string>(), Environment = [], Options = new Dictionary<string, string>(),
    });

    public static string Render(string template, LogSubject subject)
    {
        string rendered = Action().Replace(template, match => Evaluate(match.Groups["action"].Value, subject));
        string plain = Action().Replace(template, "");
        return plain.Contains("{{", StringComparison.Ordinal)
            ? throw new FormatException($"template: log-tag:1: unclosed action in \"{template}\"")
            : rendered;
    }

    private static string Evaluate(string action, LogSubject subject)
    {
        string[] words = action.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return words switch
        {
            [var field] => Field(field, subject),
            ["lower", var field] => Field(field, subject).ToLowerInvariant(),
            ["upper", var field] => Field(field, subject).ToUpperInvariant(),
            ["title", var field] when Field(field, subject) is var value => value.Length == 0 ? value : char.ToUpperInvariant(value[0]) + value[1..],
            ["truncate", var field, var length] when int.TryParse(length, NumberStyles.None, CultureInfo.InvariantCulture, out int count) && Field(field, subject) is var value =>
                value.Length <= count ? value : value[..count],
            ["truncate" or "lower" or "upper" or "title", ..] => throw new FormatException($"template: log-tag:1: wrong arguments in \"{action.Trim()}\""),
            _ => throw new FormatException($"template: log-tag:1: function \"{words.FirstOrDefault()}\" not defined"),
        };
    }

    private static string Field(string name, LogSubject subject) => name switch
    {
        ".ID" => subject.Id[..ShortId],
        ".FullID" or ".ContainerID" => subject.Id,
        ".Name" => subject.Name,
        ".ContainerName" => "/" + subject.Name,
        ".ImageID" => subject.ImageId[(subject.ImageId.IndexOf(':', StringComparison.Ordinal) + 1)..] is var hex && hex.Length > ShortId ? hex[..ShortId] : hex,
        ".ImageFullID" or ".ContainerImageID" => subject.ImageId,
        ".ImageName" or ".ContainerImageName" => subject.ImageName,
        ".Command" => subject.Command,
        ".DaemonName" => "docker",
        _ when name.StartsWith('.') => throw new FormatException($"template: log-tag:1:2: executing \"log-tag\" at <{name}>: can't evaluate field {name[1..]} in type *logger.Info"),
        _ => throw new FormatException($"template: log-tag:1: function \"{name}\" not defined"),
    };

    [GeneratedRegex(@"\{\{(?<action>[^{}]*)\}\}", RegexOptions.CultureInvariant)]
    private static partial Regex Action();
}
