using System.Security.Cryptography;
using System.Text.Json;
using Slipway.Oci;

namespace Slipway.BuildKit.Clients;

/// <summary>A directory of the client in the form of an OCI layout (image-spec, image-layout.md): blobs by digest, and an index of those that have a name.</summary>
public sealed class LayoutDirectory(string path)
{
    private const string IndexName = "index.json";
    private const string MarkerName = "oci-layout";
    private const string NameAnnotation = "org.opencontainers.image.ref.name";
    private const long MaximumIndex = 16 << 20;

    /// <summary>Bytes of a blob; null: it is not there.</summary>
    public long? SizeOf(Digest digest) => new FileInfo(PathOf(digest)) is { Exists: true } file ? file.Length : null;

    /// <exception cref="IOException">It is not there, or cannot be read.</exception>
    public FileStream Open(Digest digest) => new(PathOf(digest), FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);

    /// <summary>Begins a blob, which is there once it is whole.</summary>
    public LayoutBlob Create(Digest digest) => new(Directory.CreateDirectory(Path.Combine(path, "ingest")).FullName, PathOf(digest), digest);

    /// <summary>What has a name; null: nothing has.</summary>
    /// <exception cref="IOException">The index cannot be read, or is none.</exception>
    public Descriptor? Find(string name) => Index().Manifests?.LastOrDefault(descriptor => NameOf(descriptor) == name);

    /// <summary>Gives a blob a name, which what had it loses.</summary>
    /// <exception cref="IOException">The index cannot be read or written, or is none.</exception>
    public void Name(Descriptor descriptor, string name)
    {
        ImageIndex index = Index();
        Descriptor named = descriptor with { Annotations = new Dictionary<string, string>(descriptor.Annotations ?? new Dictionary<string, string>()) { [NameAnnotation] = name } };
        index = index with { Manifests = [.. (index.Manifests ?? []).Where(other => other is not null && NameOf(other) != name), named] };
        Write(IndexName, JsonSerializer.SerializeToUtf8Bytes(index, OciJson.Default.ImageIndex));
        Write(MarkerName, """{"imageLayoutVersion":"1.0.0"}"""u8);
    }

    private ImageIndex Index()
    {
        FileInfo file = new(Path.Combine(path, IndexName));
        if (!file.Exists)
        {
            return new ImageIndex { SchemaVersion = 2, MediaType = MediaTypes.OciIndex };
        }

        try
        {
            return file.Length <= MaximumIndex && JsonSerializer.Deserialize(File.ReadAllBytes(file.FullName), OciJson.Default.ImageIndex) is { } index
                ? index : throw new IOException($"{file.FullName} is no index of an image layout");
        }
        catch (JsonException error)
        {
            throw new IOException($"{file.FullName} is no index of an image layout: {error.Message}", error);
        }
    }

    /// <summary>Who reads it finds the old or the new one.</summary>
    private void Write(string name, ReadOnlySpan<byte> content)
    {
        string whole = Path.Combine(path, name);
        string begun = $"{whole}.{Guid.NewGuid():N}";
        File.WriteAllBytes(begun, content);
        File.Move(begun, whole, overwrite: true);
    }

    /// <param name="descriptor">Null where the index says so.</param>
    private static string? NameOf(Descriptor? descriptor) => descriptor?.Annotations?.GetValueOrDefault(NameAnnotation);

    private string PathOf(Digest digest) => Path.Combine(path, "blobs", digest.Algorithm, digest.Hex);
}

/// <summary>A blob that is being written. Disposed before its end it leaves nothing.</summary>
public sealed class LayoutBlob : IDisposable
{
    private readonly string _begun;
    private readonly string _whole;
    private readonly Digest _digest;
    private readonly FileStream _file;
    private readonly IncrementalHash _hash;

    internal LayoutBlob(string folder, string whole, Digest digest)
    {
        (_begun, _whole, _digest) = (Path.Combine(folder, Guid.NewGuid().ToString("N")), whole, digest);
        _hash = digest.CreateHash();
        _file = new FileStream(_begun, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);
    }

    public long Length { get; private set; }

    public async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        _hash.AppendData(bytes.Span);
        await _file.WriteAsync(bytes, cancellationToken);
        Length += bytes.Length;
    }

    /// <summary>It is whole.</summary>
    /// <exception cref="InvalidDataException">It is another.</exception>
    public void Commit()
    {
        Digest written = Digest.FromHash(_hash.GetHashAndReset());
        if (written != _digest)
        {
            throw new InvalidDataException($"unexpected commit digest {written}, expected {_digest}");
        }

        _file.Dispose();
        Directory.CreateDirectory(Path.GetDirectoryName(_whole)!);
        File.Move(_begun, _whole, overwrite: true);
    }

    public void Dispose()
    {
        _file.Dispose();
        _hash.Dispose();
        File.Delete(_begun);
    }
}
