using System.Text.Json.Serialization;
using Microsoft.Win32.SafeHandles;
using Slipway.Api.Containers;
using Slipway.Engine.Volumes;
using Slipway.Oci;

namespace Slipway.Engine.Containers.State;

/// <summary>
/// All that is known of a container at one instant. Never changed after it was published: readers need no lock, and a
/// container whose lock is held (by a mount that hangs, say) is still listed and inspected.
/// </summary>
internal sealed record ContainerSnapshot
{
    public required string Id { get; init; }

    /// <summary>Without a leading slash.</summary>
    public required string Name { get; init; }

    public required DateTimeOffset Created { get; init; }

    /// <summary>The image's id as <c>sha256:…</c>.</summary>
    public required string ImageId { get; init; }

    /// <summary>With the image's defaults merged in.</summary>
    public required ContainerConfig Config { get; init; }

    public required HostConfig HostConfig { get; init; }

    /// <summary>Binds, volumes and tmpfs, in the order in which they are mounted.</summary>
    public required IReadOnlyList<ContainerMount> Mounts { get; init; }

    /// <summary>The endpoint settings of the request, by network name.</summary>
    public required IReadOnlyDictionary<string, EndpointSettings?> RequestedEndpoints { get; init; }

    public required RunState State { get; init; }

    /// <summary>The engine's own first container, made of no image, which nobody sees.</summary>
    public bool IsWarmUp => ImageId.Length == 0 && Layers is null;

    /// <summary>For a step of a build, which is made of no image and has no row: the layers of its root file system, lowest first. Null: those of the image.</summary>
    [JsonIgnore]
    public IReadOnlyList<Digest>? Layers { get; init; }

    /// <summary>For a step of a build: what its mounts of the type <c>tree</c> show, by destination, as detached mounts. The launch takes them over.</summary>
    [JsonIgnore]
    public Dictionary<string, SafeFileHandle>? Trees { get; init; }
}

/// <summary>A mount of the user's, resolved when the container was created.</summary>
/// <param name="Type">bind, volume, image or tmpfs.</param>
/// <param name="Source">The directory or file on the host; an image's name as it was given; empty for tmpfs.</param>
/// <param name="Options">For the runtime: fstab words.</param>
/// <param name="VolumeName">For volumes.</param>
/// <param name="Anonymous">The volume was made for this container and goes with it.</param>
/// <param name="CreateSource">Make the directory at start where it is missing (<c>-v</c>, not <c>--mount</c>).</param>
internal sealed record ContainerMount(
    string Type,
    string Source,
    string Destination,
    IReadOnlyList<string> Options,
    string Mode,
    bool ReadOnly,
    string Propagation,
    string? VolumeName = null,
    bool Anonymous = false,
    bool CreateSource = false)
{
    /// <summary>For volumes: what to make where there is none of the name.</summary>
    public VolumeSpec? Volume { get; init; }

    /// <summary>The part of a volume or image that is mounted: a relative path, or null for all of it.</summary>
    public string? Subpath { get; init; }

    /// <summary>The volume's files are the engine's own, which no user of the host counts on. Known while it is mounted.</summary>
    [JsonIgnore]
    public bool IsOwnVolume { get; init; }

    /// <summary>The volume is not filled from the container's image.</summary>
    public bool NoCopy { get; init; }

    /// <summary>For binds whose files show with other ids than on disk: which (<see cref="Create.IdMapText"/>); empty: those of the container's user namespace. Null: with their own.</summary>
    public string? IdMap { get; init; }

    /// <summary>For images: the id (<c>sha256:…</c>) of the one that is mounted.</summary>
    public string? ImageId { get; init; }
}
