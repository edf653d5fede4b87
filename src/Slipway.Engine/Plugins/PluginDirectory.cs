using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Engine.Plugins;

/// <summary>
/// Where plugins are made known, in Docker's places: sockets, and files that name an address (docs.docker.com, "Docker Plugin API", plugin discovery).
/// </summary>
/// <param name="Sockets">The directory of <c>NAME.sock</c>, or <c>NAME/NAME.sock</c>.</param>
/// <param name="Specifications">Directories of <c>NAME.spec</c> (an address) and <c>NAME.json</c> (an address, and how TLS is spoken), or the same in a directory <c>NAME</c>; looked at after the sockets, in order.</param>
public sealed record PluginDirectory(string Sockets, IReadOnlyList<string> Specifications)
{
    /// <summary>An address, or a short document; whatever is longer is none.</summary>
    private const int MaxSpecification = 64 * 1024;

    public PluginDirectory()
        : this("/run/docker/plugins", ["/etc/docker/plugins", "/usr/lib/docker/plugins"])
    {
    }

    /// <summary>Where a plugin answers; null where there is none of the name. A client may have chosen the name: it must be one, and no path.</summary>
    /// <exception cref="EngineException">InvalidParameter: a file names something that is no address of a plugin.</exception>
    public PluginAddress? Find(string name)
    {
        if (!((PathName)name).IsEntryName || name.Contains('\0', StringComparison.Ordinal))
        {
            return null;
        }

        if (Array.Find(Places(Sockets, name, "sock"), path => TypeOf(path) == FileType.Socket) is { } socket)
        {
            return PluginAddress.OfSocket(socket);
        }

        foreach (string directory in Specifications)
        {
            foreach (string extension in (string[])["spec", "json"])
            {
                if (Array.Find(Places(directory, name, extension), path => TypeOf(path) == FileType.RegularFile) is { } file)
                {
                    return AddressIn(file, name);
                }
            }
        }

        return null;
    }

    private static string[] Places(string directory, string name, string extension) => [$"{directory}/{name}.{extension}", $"{directory}/{name}/{name}.{extension}"];

    private static FileType? TypeOf(string path)
    {
        using var file = new HostPath(path).TryOpen(OpenFlags.Path);
        return file is null ? null : FileStatus.Of(file).Type;
    }

    private static PluginAddress AddressIn(string file, string name)
    {
        try
        {
            using FileStream stream = File.OpenRead(file);
            byte[] text = new byte[Math.Min(stream.Length, MaxSpecification + 1)];
            stream.ReadExactly(text);
            if (text.Length > MaxSpecification)
            {
                throw Unusable(name, file, "it is too long");
            }

            PluginSpecification? specification = file.EndsWith(".json", StringComparison.Ordinal)
                ? JsonSerializer.Deserialize(text, PluginSpecificationJson.Default.PluginSpecification)
                : new PluginSpecification(Encoding.UTF8.GetString(text).Trim(), null);
            return PluginAddress.Parse(specification?.Addr ?? "", specification?.TLSConfig);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException or KernelException or FormatException)
        {
            throw Unusable(name, file, exception.Message, exception);
        }
    }

    private static EngineException Unusable(string name, string file, string reason, Exception? cause = null) =>
        new(ErrorKind.InvalidParameter, $"plugin \"{name}\": {file}: {reason}", cause);
}

/// <summary>What is read of a <c>.json</c> file.</summary>
internal sealed record PluginSpecification(string? Addr, PluginTls? TLSConfig);

[JsonSourceGenerationOptions(PropertyNameCaseInsensitive = true)]
[JsonSerializable(typeof(PluginSpecification))]
internal sealed partial class PluginSpecificationJson : JsonSerializerContext;
