namespace Slipway.Cli.Copying;

/// <summary>An argument of <c>cp</c>: a path in a container, or one of this host.</summary>
/// <param name="Container">Null: a path of this host, or <c>-</c>.</param>
internal sealed record CopyPlace(string? Container, string Path)
{
    /// <summary>As docker reads it: what begins with a slash or a dot is never a container.</summary>
    /// <exception cref="CommandException">There is no path.</exception>
    public static CopyPlace Parse(string argument)
    {
        int colon = argument.IndexOf(':', StringComparison.Ordinal);
        CopyPlace place = argument.StartsWith('/') || argument.StartsWith('.') || colon <= 0
            ? new CopyPlace(null, argument)
            : new CopyPlace(argument[..colon], "/" + argument[(colon + 1)..].TrimStart('/'));
        return place.Path.Length > 0 ? place : throw new CommandException("source and destination must not be empty", 1);
    }
}

/// <summary>Where something is copied to, as it is now.</summary>
internal sealed record CopyTarget(string Path, bool Exists, bool IsDirectory);

/// <summary>Where an archive is unpacked, and how the name that it has becomes the one that was asked for.</summary>
/// <param name="NewName">Null: as the source is called.</param>
internal sealed record CopyTargetPlan(string Directory, string? NewName)
{
    /// <summary>As cp(1): into a directory that is there, else under the destination's name.</summary>
    /// <param name="name">Of the source, where its archive has another.</param>
    /// <exception cref="CommandException">The destination is of another kind than the source, or asserts a directory that is not there.</exception>
    public static CopyTargetPlan Of(bool isDirectory, string? name, CopyTarget target) => target switch
    {
        { IsDirectory: true } => new CopyTargetPlan(target.Path, name),
        { Exists: true } when isDirectory => throw new CommandException("cannot copy directory", 1),
        { Exists: false } when !isDirectory && (target.Path.EndsWith('/') || target.Path.EndsWith("/.", StringComparison.Ordinal)) => throw new CommandException("no such directory", 1),
        _ => Under(target.Path),
    };

    private static CopyTargetPlan Under(string path)
    {
        string clean = path.EndsWith("/.", StringComparison.Ordinal) ? path[..^2].TrimEnd('/') : path.TrimEnd('/');
        int slash = clean.LastIndexOf('/');
        return new CopyTargetPlan(slash > 0 ? clean[..slash] : "/", clean[(slash + 1)..]);
    }
}
