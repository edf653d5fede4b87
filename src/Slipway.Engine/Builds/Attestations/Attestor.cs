using System.Text.Json;
using Slipway.Build.Packages;
using Slipway.Engine.Builds.Outputs;
using Slipway.Engine.Builds.Sources;
using Slipway.Oci;
using Slipway.Storage.Images;
using Slipway.Storage.Threading;

namespace Slipway.Engine.Builds.Attestations;

/// <summary>What is told of one image: a manifest over in-toto statements, in the form in which BuildKit keeps them (its docs/attestations/attestation-storage.md).</summary>
internal sealed record ImageAttestation(ImageContent Manifest, ImageContent Config, IReadOnlyList<ImageContent> Statements);

/// <summary>Makes what a build is to tell of its images.</summary>
/// <param name="platforms">Of the stages that each image was made of, by the image's.</param>
internal sealed class Attestor(EngineServices services, BuildRequest request, BuildFacts facts, IReadOnlyDictionary<Platform, IReadOnlySet<Platform>> platforms)
{
    public const string TypeAnnotation = "vnd.docker.reference.type";
    public const string DigestAnnotation = "vnd.docker.reference.digest";
    public const string AttestationType = "attestation-manifest";

    private const string StatementType = "https://in-toto.io/Statement/v0.1";
    private const string StatementMediaType = "application/vnd.in-toto+json";
    private const string PredicateAnnotation = "in-toto.io/predicate-type";

    /// <summary>Of an entry of an index that is no image.</summary>
    public static Platform NoPlatform { get; } = new() { Architecture = "unknown", Os = "unknown" };

    public async Task<ImageAttestation> AttestAsync(BuiltPlatform built, Digest manifest, CancellationToken cancellationToken)
    {
        List<(ImageContent Content, string Type)> statements = [];
        if (request.Attestations.Packages)
        {
            IReadOnlyList<Package> packages = await WorkerThread.RunAsync("package-scan", () =>
            {
                using SourceTree rootfs = DirectoryTree.Open(services.Data.Snapshots.MountImage([.. built.State.Layers.Select(layer => layer.ChainId)]));
                return PackageScan.Scan(rootfs, cancellationToken);
            });
            string name = Names().FirstOrDefault()?.Familiar ?? manifest.ToString();
            statements.Add((Statement(built.Platform, manifest, PackageBill.PredicateType, json => PackageBill.Write(json, packages, name, manifest, request.SourceDate ?? facts.Finished)), PackageBill.PredicateType));
        }

        if (request.Attestations.Provenance is { } wanted)
        {
            Provenance provenance = new(request, wanted, facts);
            statements.Add((Statement(built.Platform, manifest, Provenance.PredicateType, json => provenance.Write(json, built.State, manifest, platforms[built.Platform])), Provenance.PredicateType));
        }

        ImageContent config = ImageContents.Of(
            MediaTypes.OciConfig,
            JsonSerializer.SerializeToUtf8Bytes(
                new ImageConfig
                {
                    Architecture = NoPlatform.Architecture, Os = NoPlatform.Os, Config = new ImageRunConfig(),
                    RootFs = new RootFilesystem { DiffIds = [.. statements.Select(statement => statement.Content.Descriptor.Digest)] },
                },
                OciJson.Default.ImageConfig));
        Manifest document = new()
        {
            MediaType = MediaTypes.OciManifest,
            Config = config.Descriptor,
            Layers = [.. statements.Select(statement => statement.Content.Descriptor with { Annotations = new Dictionary<string, string> { [PredicateAnnotation] = statement.Type } })],
        };
        ImageContent content = ImageContents.Of(MediaTypes.OciManifest, JsonSerializer.SerializeToUtf8Bytes(document, OciJson.Default.Manifest));
        return new ImageAttestation(
            content with
            {
                Descriptor = content.Descriptor with
                {
                    Platform = NoPlatform,
                    Annotations = new Dictionary<string, string> { [DigestAnnotation] = manifest.ToString(), [TypeAnnotation] = AttestationType },
                },
            },
            config,
            [.. statements.Select(statement => statement.Content)]);
    }

    /// <summary>in-toto's statement (in-toto.io/Statement/v0.1) about an image by all its names.</summary>
    private ImageContent Statement(Platform platform, Digest manifest, string predicateType, Action<Utf8JsonWriter> predicate)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("_type", StatementType);
            json.WriteString("predicateType", predicateType);
            json.WriteStartArray("subject");
            foreach (string name in Names().Select(name => Provenance.ImageUrl(name.ToString(), platform)).DefaultIfEmpty("_"))
            {
                json.WriteStartObject();
                json.WriteString("name", name);
                json.WriteStartObject("digest");
                json.WriteString(Digest.Sha256, manifest.Hex);
                json.WriteEndObject();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WritePropertyName("predicate");
            predicate(json);
            json.WriteEndObject();
        }

        return ImageContents.Of(StatementMediaType, bytes.ToArray());
    }

    private IEnumerable<Reference> Names() => request.Outputs.SelectMany(output => output switch
    {
        ImageOutput image => image.Names,
        ArchiveOutput archive => archive.Names,
        LayoutOutput layout => layout.Names,
        _ => [],
    }).Select(name => name.WithDefaultTag()).Distinct();
}
