using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Registries;

/// <summary>Archives that others made, as they are beside the repository.</summary>
internal static class SharedArchives
{
    /// <summary>What docker load refuses (<see cref="SharedImageTests"/>).</summary>
    private static readonly string[] Refused =
        ["save/null_manifest.tar", "save/test_bundle.tar", "save/no_manifest.tar", "save/v1-emptyLayer.tar", "edge/oci/bad-digests.tar", "edge/oci/squashfs-layer.tar"];

    /// <summary>Those that can be loaded, relative to the folder of images; one that says so where there is none.</summary>
    public static TheoryData<string> Loadable(params string[] except) => Harness.Repository.Shared is not { } shared
        ? ["none"]
        : [.. from folder in new[] { "oci", "save", "edge/oci" }
              from file in Directory.EnumerateFiles(Path.Combine(shared, "images", folder)).Order()
              let name = $"{folder}/{Path.GetFileName(file)}"
              where !file.EndsWith(".md", StringComparison.Ordinal) && !Refused.Contains(name) && !except.Contains(name)
              select name];
}
