using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Engine.Plugins;

/// <summary>
/// Where programs of the host make themselves known as plugins, in Docker's places: sockets, and files that name a socket (docs.docker.com, "Docker Plugin
/// API", plugin discovery).
/// </summary>
/// <param name="Sockets">The directory of <c>NAME.sock</c>, or <c>NAME/NAME.sock</c>.</param>
/// <param name="Specifications">Directories of <c>NAME.spec</c> (an address) and <c>NAME.json</c>, or the same in a directory <c>NAME</c>; looked at after the sockets, in order.</param>
public sealed record PluginDirectory(string Sockets, IReadOnlyList<string> Specifications)
{
    private const string UnixScheme = "unix://";

    /// <summary>An address, or a short document; whatever is longer is none.</summary>
    private const int MaxSpecification = 64 * 1024;

    public PluginDirectory()
        : this("/run/docker/plugins", ["/etc/docker/plugins", "/usr/lib/docker/plugins"])
    {
    }

    /// <summary>The path of a plugin's socket; null where there is none of the name. A client may have chosen the name: it must be one, and no path.</summary>
    /// <exception cref="EngineException">InvalidParameter: a file names something that is no socket of this host.</exception>
    public string? Find(string name)
    {
        if (!((PathName)name).IsEntryName || name.Contains('\0', StringComparison.Ordinal))
        {
            return null;
        }

        if (Array.Find(Places(Sockets, name, "sock"), path => TypeOf(path) == FileType.Socket) is { } socket)
        {
            return socket;
        }

        foreach (string directory in Specifications)
        {
            foreach (string extension in (string[])["spec", "json"])
            {
                if (Array.Find(Places(directory, name, extension), path => TypeOf(path) == FileType.RegularFile) is { } file)
                {
                    return SocketOf(file, name);
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

    private static string SocketOf(string file, string name)
    {
        string address;
        try
        {
            using FileStream stream = File.OpenRead(file);
            byte[] text = new byte[Math.Min(stream.Length, MaxSpecification + 1)];
            stream.ReadExactly(text);
            address = text.Length > MaxSpecification ? throw Unusable(name, file, "it is too long")
                : file.EndsWith(".json", StringComparison.Ordinal) ? JsonSerializer.Deserialize(text, PluginSpecificationJson.Default.PluginSpecification)?.Addr ?? ""
                : Encoding.UTF8.GetString(text).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException or KernelException)
        {
            throw Unusable(name, file, exception.Message, exception);
        }

        return address.StartsWith(UnixScheme + "/", StringComparison.Ordinal) && !address.Contains('\0', StringComparison.Ordinal)
            ? address[UnixScheme.Length..]
            : throw Unusable(name, file, $"\"{address}\" is no address of a unix socket (unix:///path), and plugins are spoken to over no other");
    }

    private static EngineException Unusable(string name, string file, string reason, Exception? cause = null) =>
        new(ErrorKind.InvalidParameter, $"plugin \"{name}\": {file}: {reason}", cause);
}

/// <summary>What is read of a <c>.json</c> file.</summary>
internal sealed record PluginSpecification(string? Addr);

[JsonSourceGenerationOptions(PropertyNameCaseInsensitive = true)]
[JsonSerializable(typeof(PluginSpecification))]
internal sealed partial class PluginSpecificationJson : JsonSerializerContext;
