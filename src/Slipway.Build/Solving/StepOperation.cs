using System.Globalization;
using Slipway.Build.Syntax;
using Slipway.Oci;

namespace Slipway.Build.Solving;

/// <summary>A layer that is in the store.</summary>
/// <param name="ChainId">With all below it.</param>
/// <param name="Size">Bytes of its files.</param>
public sealed record BuiltLayer(Digest ChainId, Digest DiffId, long Size);

/// <summary>Where a step reads files.</summary>
public abstract record StepSource;

/// <param name="Name">Null: the build's own context.</param>
public sealed record ContextSource(string? Name) : StepSource;

/// <summary>What a stage made.</summary>
public sealed record LayersSource(IReadOnlyList<BuiltLayer> Layers) : StepSource;

/// <summary>A step that makes a layer: all that it depends on, with every variable replaced.</summary>
public abstract record StepOperation
{
    /// <summary>Lowest first.</summary>
    public required IReadOnlyList<BuiltLayer> Rootfs { get; init; }

    public Digest Top => Rootfs.Count == 0 ? default : Rootfs[^1].ChainId;

    /// <summary>What it is called in the cache.</summary>
    public required string Description { get; init; }

    /// <summary>Of the files it makes.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>No file it makes is newer (SOURCE_DATE_EPOCH); null: times are what they are.</summary>
    public DateTimeOffset? Newest { get; init; }

    /// <summary>Its key.</summary>
    /// <param name="content">Of what it reads: a digest over names, metadata and contents, times excluded.</param>
    public abstract Digest Key(Digest content);

    /// <summary>A key of an operation of this kind. Layers whose times are bounded are others than those whose are not.</summary>
    private protected KeyBuilder Begin(string kind) => Newest is { } newest ? new KeyBuilder(kind).Add(newest.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture)) : new KeyBuilder(kind);
}

/// <summary>A mount with what it shows.</summary>
/// <param name="Source">Null: it shows no files of anybody.</param>
public sealed record StepMount(RunMount Mount, StepSource? Source);

/// <summary>RUN.</summary>
public sealed record RunOperation : StepOperation
{
    public required IReadOnlyList<string> Arguments { get; init; }

    public required IReadOnlyList<string> Environment { get; init; }

    /// <summary>Variables that what it makes does not depend on.</summary>
    public IReadOnlyList<string> Proxies { get; init; } = [];

    /// <summary>Null: the sandbox's own, of which the program is told by a variable.</summary>
    public string? Hostname { get; init; }

    public required string WorkingDirectory { get; init; }

    public required string User { get; init; }

    public IReadOnlyList<StepMount> Mounts { get; init; } = [];

    /// <summary>Null: the build's.</summary>
    public string? Network { get; init; }

    public bool Insecure { get; init; }

    /// <summary>Of the programs in its root file system, as the image says.</summary>
    public required Platform Platform { get; init; }

    /// <summary>A here-document that is a program of its own: shown at <see cref="ScriptPath"/>.</summary>
    public string? Script { get; init; }

    public const string ScriptPath = "/dev/pipes/EOF";

    public override Digest Key(Digest content)
    {
        using KeyBuilder key = Begin("run");
        key.Add(Top).Add(Arguments).Add(Environment).Add(Hostname).Add(WorkingDirectory).Add(User).Add(Network).Add(Insecure).Add(Script).Add(content).Add(Mounts.Count);
        foreach (RunMount mount in Mounts.Select(mount => mount.Mount))
        {
            key.Add((int)mount.Type).Add(mount.Target).Add(mount.Source).Add(mount.ReadOnly ?? mount.Type == RunMountType.Bind).Add(mount.Id).Add(mount.Variable).Add(mount.Mode).Add(mount.UserId).Add(mount.GroupId);
        }

        return key.Finish();
    }
}

/// <summary>A file whose content stands in the Dockerfile.</summary>
public sealed record InlineFile(string Name, string Content);

/// <summary>COPY and ADD.</summary>
public sealed record TransferOperation : StepOperation
{
    public required StepSource Source { get; init; }

    /// <summary>Paths and, for ADD, addresses.</summary>
    public required IReadOnlyList<string> Paths { get; init; }

    public IReadOnlyList<InlineFile> Files { get; init; } = [];

    /// <summary>Absolute; ends in a slash where it must be a directory.</summary>
    public required string Destination { get; init; }

    /// <summary>As the Dockerfile has it, its variables replaced.</summary>
    public string WrittenDestination { get; init; } = "";

    /// <summary>Null: root, or where the source is no context as it is there.</summary>
    public string? Owner { get; init; }

    public string? Mode { get; init; }

    /// <summary>Nothing that is there already has a say.</summary>
    public bool Link { get; init; }

    public bool Parents { get; init; }

    public IReadOnlyList<string> Excludes { get; init; } = [];

    /// <summary>ADD: addresses are fetched, archives unpacked.</summary>
    public bool IsAdd { get; init; }

    public bool? Unpack { get; init; }

    public string? Checksum { get; init; }

    public bool KeepGitDirectory { get; init; }

    public override Digest Key(Digest content)
    {
        using KeyBuilder key = Begin(IsAdd ? "add" : "copy");
        key.Add(Top).Add(Destination).Add(Owner).Add(Mode).Add(Link).Add(Parents).Add(Excludes).Add(Unpack?.ToString()).Add(KeepGitDirectory).Add(Paths.Count > 1).Add(Files.Count);
        foreach (InlineFile file in Files)
        {
            key.Add(file.Name).Add(file.Content);
        }

        return key.Add(content).Finish();
    }
}

/// <summary>WORKDIR: makes a directory where there is none.</summary>
public sealed record DirectoryOperation : StepOperation
{
    public required string Path { get; init; }

    /// <summary>Whose it is; null: root's.</summary>
    public string? Owner { get; init; }

    public override Digest Key(Digest content)
    {
        using KeyBuilder key = Begin("workdir");
        return key.Add(Top).Add(Path).Add(Owner).Finish();
    }
}
