using System.Globalization;
using Slipway.Cli.Output;

namespace Slipway.Cli.Building;

/// <summary>What of a context was sent: files that the engine has from an earlier build are not.</summary>
internal sealed class SentFiles
{
    private const int Shown = 3;

    private readonly Dictionary<string, long> _files = new(StringComparer.Ordinal);

    public void Add(string path, long bytes)
    {
        lock (_files)
        {
            _files[path] = bytes;
        }
    }

    /// <summary>A line for people, which names the largest.</summary>
    public override string ToString()
    {
        lock (_files)
        {
            string largest = string.Join(", ", _files.OrderByDescending(file => file.Value).Take(Shown).Select(file => $"{file.Key} ({HumanText.Size(file.Value)})"));
            return _files.Count == 0 ? "sent nothing: the engine has all files of the context"
                : string.Create(CultureInfo.InvariantCulture, $"sent {_files.Count} {(_files.Count == 1 ? "file" : "files")}, {HumanText.Size(_files.Values.Sum())}; largest: {largest}");
        }
    }
}
