// Runs an agent with a tool against a server: through both APIs, whole and streamed. Prints what came of each as a line
// of JSON. Its one argument is the server's base URL.
import { Agent, OpenAIProvider, Runner, tool } from '@openai/agents';
import { z } from 'zod';

const [baseURL] = process.argv.slice(2);

async function ask(api, stream) {
  const asked = [];
  const getWeather = tool({
    name: 'get_weather',
    description: 'Get the current weather in a city.',
    parameters: z.object({ location: z.string().describe('The city.') }),
    execute: ({ location }) => {
      asked.push(location);
      return JSON.stringify({ temperature: 22, condition: 'sunny' });
    },
  });
  const agent = new Agent({
    name: 'Weather',
    model: 'tiny-gpt-oss',
    modelSettings: { temperature: 0 },
    tools: [getWeather],
  });
  const modelProvider = new OpenAIProvider({ baseURL, apiKey: 'none', useResponses: api === 'responses' });
  const runner = new Runner({ modelProvider, tracingDisabled: true });

  const result = await runner.run(agent, 'What is the weather in Tokyo?', { stream });
  let text = '';
  if (stream) {
    for await (const event of result) {
      if (event.type === 'raw_model_stream_event' && event.data.type === 'output_text_delta') {
        text += event.data.delta;
      }
    }
    await result.completed;
  }
  return {
    api,
    stream,
    asked,
    text,
    output: result.finalOutput,
    items: result.newItems.map((item) => item.type),
    tokens: result.state.usage.totalTokens,
  };
}

for (const api of ['chat', 'responses']) {
  for (const stream of [false, true]) {
    console.log(JSON.stringify(await ask(api, stream)));
  }
}
