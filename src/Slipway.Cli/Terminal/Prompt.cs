using System.Text;

namespace Slipway.Cli.Terminal;

/// <summary>Questions to the user at the terminal.</summary>
internal static class Prompt
{
    public static string Text(string question)
    {
        Console.Write(question);
        return Console.ReadLine()?.Trim() ?? "";
    }

    /// <summary>What is typed is not shown.</summary>
    public static string Secret(string question)
    {
        Console.Write(question);
        StringBuilder typed = new();
        for (ConsoleKeyInfo key = Console.ReadKey(intercept: true); key.Key != ConsoleKey.Enter; key = Console.ReadKey(intercept: true))
        {
            if (key.Key == ConsoleKey.Backspace)
            {
                typed.Length = Math.Max(0, typed.Length - 1);
            }
            else if (key.KeyChar != 0)
            {
                typed.Append(key.KeyChar);
            }
        }

        Console.WriteLine();
        return typed.ToString();
    }
}
