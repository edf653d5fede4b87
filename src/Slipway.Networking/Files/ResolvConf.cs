using System.Text;

namespace Slipway.Networking;

/// <summary>A resolv.conf(5).</summary>
internal sealed record ResolvConf
{
    public IReadOnlyList<string> Servers { get; init; } = [];

    public IReadOnlyList<string> Search { get; init; } = [];

    public IReadOnlyList<string> Options { get; init; } = [];

    /// <summary>Lines with other keywords (<c>sortlist</c>), as they are.</summary>
    public IReadOnlyList<string> Others { get; init; } = [];

    /// <summary>Comments are dropped. Of several search or domain lines the last counts, options add up (resolv.conf(5)).</summary>
    public static ResolvConf Parse(string text)
    {
        List<string> servers = [];
        List<string> options = [];
        List<string> others = [];
        string[] search = [];
        foreach (string line in text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (line[0] is '#' or ';')
            {
                continue;
            }

            string[] words = line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
            switch (words[0])
            {
                case "nameserver" when words.Length > 1:
                    servers.Add(words[1]);
                    break;
                case "search" or "domain":
                    search = words[1..];
                    break;
                case "options":
                    options.AddRange(words[1..]);
                    break;
                case "nameserver":
                    break;
                default:
                    others.Add(line);
                    break;
            }
        }

        return new ResolvConf { Servers = servers, Search = search, Options = options, Others = others };
    }

    public override string ToString()
    {
        StringBuilder text = new();
        foreach (string server in Servers)
        {
            text.Append("nameserver ").Append(server).Append('\n');
        }

        if (Search.Count > 0)
        {
            text.Append("search ").AppendJoin(' ', Search).Append('\n');
        }

        if (Options.Count > 0)
        {
            text.Append("options ").AppendJoin(' ', Options).Append('\n');
        }

        foreach (string line in Others)
        {
            text.Append(line).Append('\n');
        }

        return text.ToString();
    }
}
