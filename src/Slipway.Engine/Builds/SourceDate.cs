using System.Globalization;

namespace Slipway.Engine.Builds;

/// <summary>The time of everything a build makes, as reproducible builds are given it (reproducible-builds.org/specs/source-date-epoch).</summary>
public static class SourceDate
{
    public const string Argument = "SOURCE_DATE_EPOCH";

    /// <summary>The first second of the year 10000, which no text of a time can say.</summary>
    private const long End = 253402300800;

    /// <returns>Null: the build is given none.</returns>
    /// <exception cref="EngineException">InvalidParameter: it is no number of seconds since 1970.</exception>
    public static DateTimeOffset? Of(IReadOnlyDictionary<string, string?> arguments) => arguments.GetValueOrDefault(Argument) is not { Length: > 0 } seconds
        ? null
        : long.TryParse(seconds, NumberStyles.None, CultureInfo.InvariantCulture, out long epoch) && epoch < End
            ? DateTimeOffset.FromUnixTimeSeconds(epoch)
            : throw new EngineException(ErrorKind.InvalidParameter, $"invalid value \"{seconds}\" of {Argument}");
}
