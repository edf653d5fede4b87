using System.Buffers;
using System.Globalization;
using Slipway.Engine;

namespace Slipway.Server.Http;

/// <summary>A version of the Engine API, <c>1.50</c>.</summary>
internal readonly record struct ApiVersion(int Major, int Minor) : IComparable<ApiVersion>
{
    /// <summary>The newest the server speaks, and the one of paths without a version.</summary>
    public static readonly ApiVersion Max = new(1, 50);

    public static readonly ApiVersion Min = new(1, 24);

    private static readonly SearchValues<char> s_digitsAndDots = SearchValues.Create("0123456789.");

    /// <summary>
    /// Splits <c>/v1.43/containers/json</c> into version and path. What is no version is part of the path.
    /// </summary>
    /// <exception cref="EngineException">InvalidParameter: a version outside of what the server speaks, in Docker's words.</exception>
    public static (ApiVersion Version, string Path) Split(string path)
    {
        int end = path.IndexOf('/', 1);
        if (end < 0 || !path.StartsWith("/v", StringComparison.Ordinal) || path.AsSpan(2, end - 2) is var text && (text.IsEmpty || text.ContainsAnyExcept(s_digitsAndDots)))
        {
            return (Max, path);
        }

        string name = path[2..end];
        ApiVersion version = Parse(name);
        return version > Max ? throw Refused($"client version {name} is too new. Maximum supported API version is {Max}")
            : version < Min ? throw Refused($"client version {name} is too old. Minimum supported API version is {Min}, please upgrade your client to a newer version")
            : (version, path[end..]);
    }

    public int CompareTo(ApiVersion other) => Major != other.Major ? Major.CompareTo(other.Major) : Minor.CompareTo(other.Minor);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Major}.{Minor}");

    public static bool operator <(ApiVersion left, ApiVersion right) => left.CompareTo(right) < 0;

    public static bool operator >(ApiVersion left, ApiVersion right) => left.CompareTo(right) > 0;

    public static bool operator <=(ApiVersion left, ApiVersion right) => left.CompareTo(right) <= 0;

    public static bool operator >=(ApiVersion left, ApiVersion right) => left.CompareTo(right) >= 0;

    /// <summary>Of digits and dots; a missing or absurd part counts as 0 or as more than any.</summary>
    private static ApiVersion Parse(string text)
    {
        string[] parts = text.Split('.');
        return new ApiVersion(Part(0), Part(1));

        int Part(int index) => index >= parts.Length || parts[index].Length == 0 ? 0
            : int.TryParse(parts[index], NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : int.MaxValue;
    }

    private static EngineException Refused(string message) => new(ErrorKind.InvalidParameter, message);
}
