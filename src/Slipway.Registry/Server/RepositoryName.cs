using System.Diagnostics.CodeAnalysis;
using Slipway.Oci;

namespace Slipway.Registry.Server;

/// <summary>
/// The name of a repository, <c>team/app</c> (distribution-spec, "Pulling manifests"). One that exists has been validated: it holds no
/// empty component, no <c>.</c> and no <c>..</c>.
/// </summary>
internal readonly record struct RepositoryName : IComparable<RepositoryName>
{
    private const int MaximumLength = 255;

    /// <summary>Stands for the slash in file names; no name has it.</summary>
    private const char FileSeparator = '~';

    private readonly string? _value;

    private RepositoryName(string value) => _value = value;

    private string Value => _value ?? throw new InvalidOperationException("a repository name that was never set has no value");

    /// <summary>The name as one component of a path: a repository is one directory, not a tree of them. At most 255 bytes (NAME_MAX).</summary>
    public string FileName => Value.Replace('/', FileSeparator);

    public static bool TryParse([NotNullWhen(true)] string? text, out RepositoryName name)
    {
        name = default;
        if (text is null || text.Length is 0 or > MaximumLength || !Reference.IsPath(text))
        {
            return false;
        }

        name = new RepositoryName(text);
        return true;
    }

    /// <summary>The reverse of <see cref="FileName"/>; false for files that are no repository.</summary>
    public static bool TryParseFileName(string fileName, out RepositoryName name) =>
        TryParse(fileName.Contains('/', StringComparison.Ordinal) ? null : fileName.Replace(FileSeparator, '/'), out name);

    public int CompareTo(RepositoryName other) => string.CompareOrdinal(_value, other._value);

    public override string ToString() => Value;

    public static bool operator <(RepositoryName left, RepositoryName right) => left.CompareTo(right) < 0;

    public static bool operator <=(RepositoryName left, RepositoryName right) => left.CompareTo(right) <= 0;

    public static bool operator >(RepositoryName left, RepositoryName right) => left.CompareTo(right) > 0;

    public static bool operator >=(RepositoryName left, RepositoryName right) => left.CompareTo(right) >= 0;
}
