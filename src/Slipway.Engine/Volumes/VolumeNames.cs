namespace Slipway.Engine.Volumes;

internal static class VolumeNames
{
    private const int AnonymousLength = 64;

    /// <summary>Docker's rule. It also keeps a name from being a path.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static string Check(string name)
    {
        if (name.Length == 1)
        {
            throw VolumeErrors.Invalid($"create {name}: volume name is too short, names should be at least two alphanumeric characters");
        }

        bool valid = name.Length is > 1 and <= 255 && char.IsAsciiLetterOrDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-');
        return valid
            ? name
            : throw VolumeErrors.Invalid(
                $"create {name}: \"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path");
    }

    /// <summary>Names that the engine gave look like ids. Only for volumes of which nothing else is known.</summary>
    public static bool LooksAnonymous(string name) => name.Length == AnonymousLength && name.All(char.IsAsciiHexDigitLower);
}
